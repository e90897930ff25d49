-- Bytes are ids (16), hashes (32), blind names (16 or 32) or sealed values. Times are milliseconds since 1970.
-- A step is never changed once it was released; a new one is added after it.

CREATE TABLE tenant (id bytea PRIMARY KEY CHECK (octet_length(id) = 16), state bigint NOT NULL, created bigint NOT NULL,
    name_index bytea NOT NULL UNIQUE, sealed_name bytea NOT NULL);
CREATE TABLE key_place (key bytea PRIMARY KEY, tenant bytea NOT NULL);
CREATE TABLE claim_place (claim bytea PRIMARY KEY, token_issuer bytea NOT NULL, claim_name bytea NOT NULL,
    tenant bytea NOT NULL, issuer bytea NOT NULL);
CREATE INDEX claim_by_issuer ON claim_place (token_issuer);
CREATE TABLE operator_key (id bytea PRIMARY KEY, hash bytea NOT NULL, created bigint NOT NULL);
CREATE TABLE head (tenant bytea NOT NULL, size bigint NOT NULL, seq bigint NOT NULL, PRIMARY KEY (tenant, size));

-- Who serves: each process that takes the deployment counts up, so that the one before it can write nothing more.
CREATE TABLE serving (one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL);
INSERT INTO serving (epoch) VALUES (0);

-- From here on every row is a tenant's, and the tenant is the shard key. The deployment log is that of the tenant zero.
-- A journal's row says how long it is and what its root is; whoever appends to it locks the row.
CREATE TABLE journal (tenant bytea PRIMARY KEY CHECK (octet_length(tenant) = 16), size bigint NOT NULL,
    root bytea NOT NULL);
CREATE TABLE record (tenant bytea NOT NULL, seq bigint NOT NULL, body bytea NOT NULL, hashes bytea NOT NULL,
    PRIMARY KEY (tenant, seq));
CREATE TABLE checkpoint (tenant bytea NOT NULL, size bigint NOT NULL, at bigint NOT NULL, note text NOT NULL,
    PRIMARY KEY (tenant, size));
CREATE TABLE api_key (tenant bytea NOT NULL, id bytea NOT NULL, hash bytea NOT NULL, sealed bytea NOT NULL,
    created bigint NOT NULL, expires bigint, revoked bigint, PRIMARY KEY (tenant, id));
CREATE TABLE issuer (tenant bytea NOT NULL, id bytea NOT NULL, sealed bytea NOT NULL, changed bigint NOT NULL,
    PRIMARY KEY (tenant, id));
CREATE TABLE limit_set (tenant bytea NOT NULL, tier text NOT NULL, sealed bytea NOT NULL, PRIMARY KEY (tenant, tier));
CREATE TABLE vault (tenant bytea NOT NULL, place bytea NOT NULL, version bigint NOT NULL, sealed bytea NOT NULL,
    changed bigint NOT NULL, PRIMARY KEY (tenant, place));
CREATE TABLE call (tenant bytea NOT NULL, id bytea NOT NULL, credential text NOT NULL, subject bytea, session bytea,
    route text NOT NULL, model text NOT NULL, upstream text NOT NULL, started bigint NOT NULL,
    bound_input bigint NOT NULL, bound_output bigint NOT NULL, reserved bigint NOT NULL, ended bigint, outcome text,
    basis text, status bigint, input bigint, cached_input bigint, output bigint, cost bigint,
    PRIMARY KEY (tenant, id));
CREATE INDEX call_open ON call (tenant, id) WHERE ended IS NULL;
CREATE TABLE spend (tenant bytea NOT NULL, scope text COLLATE "C" NOT NULL, span text COLLATE "C" NOT NULL, nanos bigint NOT NULL,
    PRIMARY KEY (tenant, scope, span));
CREATE TABLE usage (tenant bytea NOT NULL, day text COLLATE "C" NOT NULL, credential text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL, calls bigint NOT NULL, input bigint NOT NULL, cached_input bigint NOT NULL,
    output bigint NOT NULL, cost bigint NOT NULL, PRIMARY KEY (tenant, day, credential, model));

-- A transaction says whose it is and reaches nothing else, whatever its statements name. One that says nothing reaches
-- nothing. FORCE: the owner of the tables, which is the role that the gateway comes as, is no exception.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['journal', 'record', 'checkpoint', 'api_key', 'issuer', 'limit_set', 'vault', 'call',
        'spend', 'usage']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY one_tenant ON %I '
            'USING (tenant = decode(current_setting(''cofferdam.tenant'', true), ''hex'')) '
            'WITH CHECK (tenant = decode(current_setting(''cofferdam.tenant'', true), ''hex''))', name);
    END LOOP;
END $$;
