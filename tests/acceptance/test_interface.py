"""The running server does what its own OpenAPI document says, whatever is sent: Schemathesis over every operation.

First tier: the example that the document shows of each operation succeeds, on a thing it is made for. Second tier:
the deterministic boundary cases of its schema and random ones, half of them made to be refused; each as a caller of
some role. No 5xx, no undocumented status, no body outside its schema. Operations come from the document, ids from the
answers: a new route is covered as it stands, once `tests/support/test_data.py` makes what it acts on.
`FUZZ_EXAMPLES` sets how many random cases an operation gets; with it every run draws others.
"""

import contextlib
import json
import os
from collections.abc import Iterator

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi import checks

from protocols.values import new_id, to_json
from server.domains import ROUTES
from server.http.arguments import HEADER_FIELDS
from server.schemas.openapi import build_openapi
from tests.support.oidc_server import oidc_environment
from tests.support.pictures import encode, two_halves
from tests.support.system import System, running_system, scratch_home
from tests.support.test_data import TestData
from tests.support.users import ROLES, TestUsers, register_users


def read_document():
    """The document as the server serves it."""
    return json.loads(to_json(build_openapi(ROUTES, "http://127.0.0.1:8080")))


def operations_of(document):
    """Operations by id."""
    schema = schemathesis.openapi.from_dict(document)
    rejecting = schema.config.checks.negative_data_rejection.expected_statuses
    schema.config.checks.negative_data_rejection.expected_statuses = [*rejecting, "412", "414"]
    found = (result.ok() for result in schema.get_all_operations())
    return {operation.definition.raw["operationId"]: operation for operation in found}


PICTURES = {f"image/{kind}": encode(two_halves(), kind) for kind in ("jpeg", "png", "webp")}
for kind, picture in PICTURES.items():
    schemathesis.openapi.media_type(kind, st.just(picture))
schemathesis.openapi.media_type(
    "text/plain", st.sampled_from([b"", b"old 0\n\n", b"old 1\nAA==\n\na\n0\n\n"])
)
OPERATIONS = operations_of(read_document())
DOMAINS = sorted({name.partition(".")[0] for name in OPERATIONS})
SIGNED = ("payments.receive_event",)
"""Only who has a secret of the server's can call it: `tests/integration/payments/test_webhooks.py` does."""
TIMED = ("auth.confirm_totp",)
"""It takes a code that is good for a minute: `tests/integration/auth/test_second_factors.py` shows one."""
LAST = ("auth.replace_recovery_codes", "auth.end_session", "auth.change_password", "auth.logout")
"""They end what the others stand on."""

DEEP = int(os.environ.get("FUZZ_EXAMPLES", "0"))
EXAMPLES = DEEP or 10
BOUNDARY_CASES = 10_000 if DEEP else 32
"""So many of each kind and operation: a second of each, whatever others there are."""
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
VALIDATORS: dict[tuple[int, str, str], Draft202012Validator] = {}


def validator_of(operation, status):
    """Validator of the answers of one status, formats included."""
    key = (id(operation.schema), operation.label, status)
    if key not in VALIDATORS:
        contents = operation.definition.raw["responses"][status]["content"]
        (content,) = (each for kind, each in contents.items() if "json" in kind)  # beside files
        schema = {**content["schema"], "components": operation.schema.raw_schema["components"]}
        VALIDATORS[key] = Draft202012Validator(schema, validate_formats=True)
    return VALIDATORS[key]


def answer_fits_its_schema(ctx, response, case):
    """Schemathesis's own check misreads tuples (`prefixItems`) of answers."""
    is_json = "json" in (response.headers.get("content-type") or [""])[0]
    if (
        response.content
        and is_json
        and str(response.status_code) in case.operation.definition.raw["responses"]
    ):
        validator = validator_of(case.operation, str(response.status_code))
        errors = [
            f"{error.instance_path}: {error.message}" for error in validator.iter_errors(response.json())
        ]
        assert not errors, errors


CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    answer_fits_its_schema,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
]


def name_of(operation):
    return operation.definition.raw["operationId"]


def media_type_of(answer):
    return answer.headers.get("Content-Type", "")


def example_of(operation, fields):
    """The call that the document shows, with fields of things that are there; None takes one out."""
    raw = operation.definition.raw
    places = {"path": {}, "query": {}, "header": {}}
    left = {HEADER_FIELDS.get(name, name): value for name, value in fields.items()}
    for parameter in raw.get("parameters", []):
        name = parameter["name"]
        if parameter["required"] or name in left:
            places[parameter["in"]][name] = left.pop(name, parameter["example"])
    if "Idempotency-Key" in places["header"]:
        places["header"]["Idempotency-Key"] = str(new_id())
    media_type, content = next(iter(raw.get("requestBody", {}).get("content", {}).items()), (None, {}))
    body = left.pop("content", PICTURES.get(media_type, NOT_SET))
    if "example" in content:
        known = content["schema"].get("properties", {})
        changed = content["example"] | {name: value for name, value in left.items() if name in known}
        body = {name: value for name, value in changed.items() if value is not None}
    return operation.Case(
        path_parameters=places["path"],
        query=places["query"],
        headers=places["header"],
        body=body,
        media_type=media_type,
    )


def seconds_in(value):
    """The number that a query parameter states, as a number or in digits; 0 for anything else."""
    with contextlib.suppress(TypeError, ValueError):
        return float(value)
    return 0.0


class Asker:
    """Sends cases as the test users and holds the answers against the document."""

    def __init__(self, system: System, users: TestUsers, session: requests.Session) -> None:
        self.users = users
        self._base_url = system.base_url
        self._session = session

    def ask_at_random(self, case: Case, role: str) -> requests.Response:
        """Ask with known ids and words in place of made-up ones; in the role only when it shall be refused."""
        path, words = case.operation.path, case.meta.generation.mode.is_positive
        case.path_parameters = self.users.replace(path, case.path_parameters or {}, words=words)
        case.query = self.users.replace(path, case.query or {}, words=words)
        if 0 < seconds_in(case.query.get("wait_s")) <= 25:
            case.query["wait_s"] = 0.01  # nobody waits for an event here
        if isinstance(case.body, dict):
            case.body = self.users.replace(path, case.body, words=words)
        if words:
            self._fit(case)
            role = self.users.play(name_of(case.operation))
        return self.ask(case, role)

    def ask(self, case: Case, role: str) -> requests.Response:
        """Send a case and judge the answer."""
        answer, headers = self._send(case, role)
        if answer.status_code in {200, 201} and case.method != "OPTIONS" and "json" in media_type_of(answer):
            self.users.learn(case.operation.path, answer.json())
        case.validate_response(answer, CHECKS, headers=headers, transport_kwargs={"base_url": self._base_url})
        return answer

    def _fit(self, case):
        """Turn a good case to a thing in the state that the operation asks for."""
        fields = self.users.choose(name_of(case.operation))
        for values in (case.path_parameters, case.query, case.body):
            if isinstance(values, dict):
                values.update({name: value for name, value in fields.items() if name in values})
        for header, value in (("If-Match", "*"), ("Idempotency-Key", str(new_id()))):
            if header in case.headers and self.users.random.random() < 0.8:
                case.headers[header] = value

    def _send(self, case, role):
        headers = self.users.headers(role)
        answer = case.call(base_url=self._base_url, session=self._session, headers=headers)
        if answer.status_code == 401 and headers and self.users.people[role].stay():
            headers = self.users.headers(role)
            answer = case.call(base_url=self._base_url, session=self._session, headers=headers)
        return answer, headers


@pytest.fixture(scope="module")
def system(engines, database, redis_url) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
        "MNBARA_DRAIN_S": "1",
    }
    with scratch_home() as home:
        environment |= oidc_environment(home)
        with running_system(home, environment=environment) as running:
            yield running


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


@pytest.fixture(scope="module")
def asker(system, session, database, redis_url) -> Iterator[Asker]:
    load_all_checks()
    with httpx.Client(base_url=system.base_url, timeout=20, trust_env=False) as http:
        users = register_users(http, database, redis_url)
        TestData(http, users).make_all()
        yield Asker(system, users, session)


def order(name: str) -> tuple[int, int, str]:
    """What makes things comes first, what ends sessions last."""
    operation = OPERATIONS[name]
    return (
        LAST.index(name) + 1 if name in LAST else 0,
        operation.path.count("{") + (operation.method != "post"),
        name,
    )


def boundary_cases(operation):
    generation = operation.schema.config.generation
    for mode in MODES:
        cases = operation.schema.iter_coverage_cases(
            operation, generation_modes=[mode], generation_config=generation
        )
        every = list(cases)
        yield from every[:: -(-len(every) // BOUNDARY_CASES) or 1]


@pytest.fixture(scope="module")
def unshown(asker) -> dict[str, str]:
    """Operations whose example succeeds as nobody, with the answers; learns for whom the others are."""
    failures = {}
    for name in sorted(set(OPERATIONS) - {*SIGNED, *TIMED}, key=order):
        fields = next(iter(asker.users.fitting.get(name, ())), {})  # the first thing made for the operation
        try:
            told = {role: asker.ask(example_of(OPERATIONS[name], fields), role) for role in ROLES}
        except (FailureGroup, AssertionError) as error:
            failures[name] = report_of(error)
            continue
        asker.users.welcome[name] = [role for role, answer in told.items() if answer.status_code < 300]
        if not asker.users.welcome[name]:
            failures[name] = str([answer.text for answer in told.values()])
    return failures


def report_of(error: BaseException) -> str:
    """Return what a judge of an answer said, with the parts of a group."""
    return "\n".join([str(error), *map(str, getattr(error, "exceptions", ()))])


def test_the_example_of_every_operation_succeeds_as_somebody(unshown):
    assert unshown == {}, "tests/support/test_data.py makes what an operation acts on"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("domain", DOMAINS)
def test_operations_of_a_domain_answer_as_documented(asker, unshown, domain):
    failures = {}
    for name in sorted(OPERATIONS, key=order):
        if name.partition(".")[0] == domain:
            try:
                ask_all_kinds(asker, OPERATIONS[name])
            except (FailureGroup, AssertionError) as error:
                failures[name] = report_of(error)
    assert failures == {}


def ask_all_kinds(asker: Asker, operation) -> None:
    """Send the boundary cases of an operation, then random ones; raise at an answer that is not as documented."""
    for number, case in enumerate(boundary_cases(operation)):
        asker.ask_at_random(case, ROLES[number % len(ROLES)])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not DEEP,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=mode, phase=TestPhase.FUZZING) for mode in MODES
        ),
        role=st.sampled_from(ROLES),
    )
    def ask_at_random(case, role):
        asker.ask_at_random(case, role)

    ask_at_random()


def undocument(document):
    document["paths"]["/v1/listings/{listing_id}"]["get"]["responses"].pop("404")


def require_more(document):
    document["components"]["schemas"]["Listing"]["required"].append("colour")


@pytest.mark.parametrize("lie", [undocument, require_more])
def test_a_document_that_lies_is_found_out(system, session, asker, lie):
    """The checks themselves: what the server does not do must not pass."""
    document = read_document()
    lie(document)
    operation = operations_of(document)["listings.get_listing"]
    listing_id = asker.users.known["listing_id"][0] if lie is require_more else str(new_id())
    forgetful = Asker(system, TestUsers(asker.users.people), session)  # it replaces no id
    case = next(iter(boundary_cases(operation)))
    case.path_parameters = {"listing_id": listing_id}
    with pytest.raises((FailureGroup, AssertionError)):
        forgetful.ask(case, "user")
