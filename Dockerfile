# One image for server processes and worker; engines run in images of their own (docker-compose.yml).
FROM python:3.11-slim AS packages
COPY requirements.lock /requirements.lock
RUN python -m venv --without-pip /venv \
 && pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps \
    -r /requirements.lock \
 && rm /venv/bin/nats-server

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home mnbara
COPY --from=packages /venv /venv
WORKDIR /srv/mnbara
COPY protocols protocols
COPY realtime realtime
COPY handlers handlers
COPY storage storage
COPY server server
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MNBARA_HOST=0.0.0.0 MNBARA_PORT=8080 MNBARA_HOME=/data
USER 10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready', timeout=2)"]
CMD ["python", "-m", "server.local.watched", "serve"]
