-- What the market keeps of deals, as a whole set of rules per version, never changed. The version that holds at an instant
-- is the last by `effective_from_ms`, of equal ones the highest. `rules` and `taxes`: as protocols/payments/commission.py.
CREATE TABLE commission_versions (
    version integer PRIMARY KEY,
    effective_from_ms bigint NOT NULL,
    rules json NOT NULL,
    taxes json NOT NULL,
    set_by uuid NOT NULL,
    set_at_ms bigint NOT NULL
);
CREATE INDEX commission_versions_effective ON commission_versions (effective_from_ms, version);
CREATE TRIGGER commission_versions_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON commission_versions
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
