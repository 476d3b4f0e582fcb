"""`migrate`: the database, given or private, gets the migrations that it lacks."""

from argparse import Namespace

from handlers.settings import Settings
from server.cli.verb import Verb
from server.local.engines import LocalEngines
from server.local.install import install_engines
from server.local.up import Progress, migrate_or_explain


def _migrate(_chosen: Namespace) -> int:
    settings = Settings.from_environment()
    where = "that of MNBARA_POSTGRES_URL" if settings.postgres_url else f"the private one of {settings.home}"
    print(f"the database is {where}")
    applied = (
        migrate_or_explain(settings.postgres_url) if settings.postgres_url else _migrate_private(settings)
    )
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    return 0


def _migrate_private(settings: Settings) -> list[str]:
    """Migrate the private engine of the home, which is started for it when it does not run."""
    say = Progress()
    engines = LocalEngines(settings.home, names=("postgres",), say=say)
    install_engines(engines.names, say)
    runs_already = engines.postgres_answers()
    try:
        url = engines.postgres_url("mnbara") if runs_already else engines.start().postgres_url
        return migrate_or_explain(url)
    finally:
        if not runs_already:
            engines.stop()


MIGRATE = Verb(
    name="migrate",
    meaning="bring the database up to date",
    example="MNBARA_POSTGRES_URL=postgresql://mnbara@db/mnbara ./mnbara migrate",
    run=_migrate,
)
