-- verify(): rights, conditions, policies and unique indexes that differ from
-- what was installed or recorded.  023_guard_preload.pl does the same by DDL,
-- where nothing records it.
\set VERBOSITY terse
CREATE DATABASE verify_drift TEMPLATE template0 ENCODING 'UTF8';
\c verify_drift
SET client_min_messages = warning;
-- hardened as some servers are: what everybody has to call, everybody may
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
SELECT has_function_privilege('llm_audit_writer', 'llm_audit.now()', 'EXECUTE') AS writers_can,
	has_function_privilege('llm_audit_writer', 'llm_audit.setup()', 'EXECUTE') AS writers_cannot;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
CREATE ROLE drift_dba;
CREATE ROLE drift_other;

-- A table with conditions that are shown otherwise each time they are dumped,
-- a policy of its own, and one that is partitioned.
CREATE TABLE entry (a int CHECK (a BETWEEN 1 AND 100), kind varchar(9) CHECK (kind IN ('x', 'y')),
	b text CONSTRAINT entry_b_check CHECK (b <> 'z'));
ALTER TABLE entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON entry USING (b IN (SELECT rolname FROM pg_roles)) WITH CHECK (true);
-- foreign keys of its own, triggers and defaults
CREATE TABLE target (id int PRIMARY KEY);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION nothing_else() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
ALTER TABLE entry ADD t int REFERENCES target, ADD needed text NOT NULL DEFAULT 'x',
	ADD place varchar(9) DEFAULT CASE WHEN random() BETWEEN 0.1 AND 0.2 THEN 'x' ELSE 'y' END,
	ADD twice int GENERATED ALWAYS AS (a * 2) STORED, ADD big bigint DEFAULT 7;
CREATE TRIGGER quiet AFTER INSERT ON entry FOR EACH ROW WHEN (NEW.kind IN ('x', 'y')) EXECUTE FUNCTION nothing();
SELECT llm_audit.create_ledger('entry');
CREATE TABLE parted (environment text, a int CONSTRAINT parted_a_check CHECK (a > 0),
	twice int GENERATED ALWAYS AS (a * 2) STORED, big bigint DEFAULT 7) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('parted');
\set leaf parted_prod_default
SELECT count(*), count(DISTINCT ledger) FROM llm_audit.segment_event WHERE event = 'definition';
SELECT f FROM llm_audit.segment_event e, unnest(e.facts) f WHERE event = 'definition' AND f LIKE '["check%' ORDER BY 1;
SELECT * FROM llm_audit.verify();

-- tells what verify finds after something was done, and takes it back
SET allow_system_table_mods = on;
CREATE FUNCTION change(harm text) RETURNS TABLE (ledger regclass, segment int, finding text, detail text)
LANGUAGE plpgsql AS $$
DECLARE
	found jsonb[];
BEGIN
	BEGIN
		EXECUTE harm;
		UPDATE pg_class SET reltuples = reltuples WHERE relnamespace IN ('public'::regnamespace, 'llm_audit'::regnamespace);
		found := ARRAY(SELECT to_jsonb(v) FROM llm_audit.verify() v ORDER BY v.detail COLLATE "C");
		-- the catalogs are read in another way beside workers
		IF ARRAY(SELECT to_jsonb(v) FROM llm_audit.verify(workers => 1) v ORDER BY to_jsonb(v))
			<> ARRAY(SELECT f FROM unnest(found) f ORDER BY f)
		THEN
			RAISE EXCEPTION 'beside workers verify finds something else';
		END IF;
		RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
	EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
		NULL;
	END;
	RETURN QUERY SELECT v.ledger, v.segment, v.finding, v.detail
		FROM unnest(found) f, jsonb_to_record(f) AS v (ledger regclass, segment int, finding text, detail text);
END
$$;
SELECT * FROM change('SELECT 1');
-- what a check needs is gone: the others are made, beside workers too
SELECT finding, detail FROM change($$UPDATE pg_class SET relname = 'elsewhere'
	WHERE oid = 'llm_audit.installed_object'::regclass$$);

-- functions: given, given to everybody, taken away
SELECT * FROM change($$ UPDATE pg_proc SET proacl = proacl || format('drift_dba=X/%I', current_user)::aclitem WHERE proname = 'erase_subject' $$);
SELECT * FROM change($$ UPDATE pg_proc SET proacl = proacl || format('=X/%I', current_user)::aclitem WHERE proname = 'setup' $$);
SELECT * FROM change($$ UPDATE pg_proc SET proacl = NULL WHERE proname = 'verify_summary' $$);
SELECT * FROM change($$ UPDATE pg_proc SET proacl = format('{%I=X/%1$I}', current_user)::aclitem[] WHERE proname = 'mask' $$);
-- what GRANT and REVOKE record is no finding
SELECT * FROM change('GRANT EXECUTE ON FUNCTION llm_audit.verify TO drift_dba');
SELECT * FROM change('GRANT ALL ON FUNCTION llm_audit.verify TO drift_dba WITH GRANT OPTION');
SELECT * FROM change('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA llm_audit TO drift_dba');
SELECT * FROM change('REVOKE EXECUTE ON FUNCTION llm_audit.verify FROM llm_audit_compliance');
SELECT * FROM change('REVOKE EXECUTE ON FUNCTION llm_audit.mask FROM PUBLIC');
SELECT * FROM change('DROP OWNED BY llm_audit_approver');
-- but of another right, to another role, or the other way round it is
SELECT * FROM change($$ GRANT EXECUTE ON FUNCTION llm_audit.verify TO drift_dba;
	UPDATE pg_proc SET proacl = proacl || format('drift_other=X/%I', current_user)::aclitem WHERE proname = 'verify' $$);
SELECT * FROM change($$ GRANT EXECUTE ON FUNCTION llm_audit.verify TO drift_dba;
	UPDATE pg_proc SET proacl = proacl || format('drift_dba=X/%I', current_user)::aclitem WHERE proname = 'row_preimage' $$);
SELECT * FROM change($$ GRANT EXECUTE ON FUNCTION llm_audit.verify TO drift_dba;
	REVOKE EXECUTE ON FUNCTION llm_audit.verify FROM drift_dba;
	UPDATE pg_proc SET proacl = proacl || format('drift_dba=X/%I', current_user)::aclitem WHERE proname = 'verify' $$);
SELECT * FROM change($$ GRANT USAGE ON SCHEMA llm_audit TO drift_dba;
	UPDATE pg_proc SET proacl = proacl || format('drift_dba=X/%I', current_user)::aclitem WHERE proname = 'verify' $$);

-- configuration tables and their columns, the extension's views
SELECT * FROM change($$ UPDATE pg_class SET relacl = relacl || format('drift_dba=w/%I', current_user)::aclitem
	WHERE oid = 'llm_audit.ledger'::regclass $$);
SELECT * FROM change($$ UPDATE pg_attribute SET attacl = format('{drift_dba=w/%I}', current_user)::aclitem[]
	WHERE attrelid = 'llm_audit.legal_hold'::regclass AND attname = 'reason' $$);
SELECT * FROM change($$ UPDATE pg_class SET relacl = NULL WHERE oid = 'llm_audit.environment'::regclass $$);
SELECT * FROM change($$ UPDATE pg_class SET relowner = 'drift_dba'::regrole WHERE oid = 'llm_audit.call_source'::regclass $$);
SELECT * FROM change('GRANT SELECT ON llm_audit.ledger TO drift_dba');
SELECT * FROM change('GRANT SELECT, UPDATE (segment_width) ON llm_audit.ledger TO drift_dba');
SELECT * FROM change('GRANT SELECT ON llm_audit.verify_progress TO drift_dba');
SELECT * FROM change($$ UPDATE pg_class SET relacl = relacl || format('drift_dba=r/%I', current_user)::aclitem
	WHERE oid = 'llm_audit.verify_progress'::regclass $$);
-- the schema
SELECT * FROM change($$ UPDATE pg_namespace SET nspacl = nspacl || format('drift_dba=C/%I', current_user)::aclitem
	WHERE nspname = 'llm_audit' $$);
SELECT * FROM change($$ UPDATE pg_namespace SET nspowner = 'drift_dba'::regrole WHERE nspname = 'llm_audit' $$)
	WHERE detail LIKE 'OWNER%';
SELECT * FROM change('GRANT CREATE ON SCHEMA llm_audit TO drift_dba');
-- views over ledgers
SELECT * FROM change($$ UPDATE pg_class SET relacl = relacl || 'drift_dba=r/llm_audit_view_owner'::aclitem
	WHERE oid = 'llm_audit.compliance_disclosures'::regclass $$);
SELECT * FROM change($$ UPDATE pg_class SET relacl = '{llm_audit_view_owner=r/llm_audit_view_owner}'
	WHERE oid = 'llm_audit.approver_requests'::regclass $$);
SELECT * FROM change('REVOKE SELECT ON llm_audit.approver_requests FROM llm_audit_approver');
-- what rights are compared with
SELECT * FROM change($$ UPDATE pg_proc SET proacl = proacl || format('=X/%I', current_user)::aclitem WHERE proname = 'setup';
	SELECT llm_audit.record_installed_functions() $$);

-- conditions: replaced, gone or not checked, of a root, of a leaf
CREATE FUNCTION other_condition(relation regclass, name text, condition text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TEMP TABLE scratch (LIKE %s)', relation);
	EXECUTE format('ALTER TABLE scratch ADD CONSTRAINT c CHECK (%s)', condition);
	UPDATE pg_constraint k SET conbin = s.conbin FROM pg_constraint s
		WHERE s.conrelid = 'scratch'::regclass AND s.contype = 'c'
			AND k.conrelid = relation AND k.conname = name;
	DROP TABLE scratch;
END
$$;
SELECT * FROM change($$ SELECT other_condition('llm_audit.llm_call', 'llm_call_status_check', 'true') $$);
SELECT * FROM change($$ SELECT other_condition('llm_audit.llm_call_prod_default', 'llm_call_status_check', 'status IS NOT NULL') $$);
SELECT * FROM change($$ SELECT other_condition('llm_audit.llm_call', 'llm_call_status_check',
	'status = ANY (''{ok,error,timeout,blocked,cancelled}'')') $$);
SELECT * FROM change($$ SELECT other_condition('entry', 'entry_b_check', 'b <> ''y''') $$);
SELECT * FROM change(format($$ SELECT other_condition(%L, 'parted_a_check', 'a > -1') $$, :'leaf'));
SELECT * FROM change($$ UPDATE pg_constraint SET convalidated = false WHERE conname = 'entry_a_check' $$);
-- later versions warn
SET client_min_messages = error;
SELECT * FROM change(format($$ DELETE FROM pg_constraint WHERE conname = 'parted_a_check' AND conrelid = %L::regclass $$, :'leaf'));
SET client_min_messages = warning;
-- extra ones
CREATE FUNCTION extra_check(relation regclass) RETURNS void LANGUAGE sql AS $$
	INSERT INTO pg_constraint SELECT (jsonb_populate_record(k, jsonb_build_object('oid', 999999, 'conname', 'extra',
		'conrelid', relation::oid::int8))).* FROM pg_constraint k WHERE k.conname = 'parted_a_check' LIMIT 1;
	UPDATE pg_class SET relchecks = relchecks + 1 WHERE oid = relation
$$;
SELECT * FROM change($$ SELECT extra_check('entry') $$);
SELECT * FROM change($$ SELECT extra_check('parted') $$);
SELECT * FROM change($$ SELECT extra_check('parted_test') $$);
SELECT * FROM change(format('SELECT extra_check(%L)', :'leaf'));
SELECT * FROM change($$ SELECT extra_check('llm_audit.settlement_prod_default') $$);

-- unique indexes: the ledger's own, and what is unique with them anyway
CREATE INDEX entry_kind_idx ON entry (kind);
CREATE INDEX entry_id_kind_idx ON entry (kind, id);
CREATE INDEX parted_a_idx ON parted (a);
SELECT * FROM change('SELECT 1');
SELECT * FROM change($$ UPDATE pg_index SET indisunique = true WHERE indexrelid = 'entry_kind_idx'::regclass $$);
SELECT * FROM change($$ UPDATE pg_index SET indisunique = true WHERE indexrelid = 'entry_id_kind_idx'::regclass $$);
SELECT * FROM change(format($$ UPDATE pg_index SET indisunique = true WHERE indrelid = %L::regclass AND NOT indisunique $$, :'leaf'));
SELECT * FROM change($$ UPDATE pg_index SET indisunique = true WHERE indrelid = 'parted'::regclass $$);

-- policies of a root, of what is below it, of a built-in ledger
CREATE FUNCTION extra_policy(relation regclass, permissive boolean) RETURNS void LANGUAGE sql AS $$
	INSERT INTO pg_policy SELECT (jsonb_populate_record(p, jsonb_build_object('oid', 999999, 'polname', 'extra',
		'polrelid', relation::oid::int8, 'polpermissive', permissive))).* FROM pg_policy p WHERE p.polname = 'mine'
$$;
SELECT * FROM change($$ SELECT extra_policy('entry', true) $$);
SELECT * FROM change($$ SELECT extra_policy('parted', false) $$);
SELECT * FROM change($$ SELECT extra_policy('parted_test', true) $$);
SELECT * FROM change(format('SELECT extra_policy(%L, true)', :'leaf'));
SELECT * FROM change($$ SELECT extra_policy('llm_audit.settlement', true) $$) WHERE detail LIKE 'policy%';
SELECT * FROM change($$ UPDATE pg_policy SET polqual = polwithcheck WHERE polname = 'mine' $$);
SELECT * FROM change($$ UPDATE pg_policy SET polroles = ARRAY['drift_dba'::regrole] WHERE polname = 'mine' $$);
SELECT * FROM change($$ DELETE FROM pg_policy WHERE polname = 'mine' $$);
SELECT * FROM change($$ UPDATE pg_class SET relrowsecurity = false WHERE oid = 'entry'::regclass $$);
-- what is recorded is no finding, but of another policy it is
SELECT * FROM change('CREATE POLICY theirs ON entry AS RESTRICTIVE USING (a > 0)');
SELECT * FROM change('ALTER POLICY mine ON entry USING (true)');
SELECT * FROM change('ALTER POLICY mine ON entry RENAME TO yours');
SELECT * FROM change('DROP POLICY mine ON entry');
SELECT * FROM change($$ CREATE POLICY theirs ON entry USING (true); SELECT extra_policy('entry', true) $$);
-- nor is it of what the policy became afterwards, of what it was before, or of
-- one that takes its name
SELECT * FROM change($$ ALTER POLICY mine ON entry USING (a > 0);
	UPDATE pg_policy SET polqual = polwithcheck WHERE polname = 'mine' $$);
SELECT * FROM change($$ ALTER POLICY mine ON entry TO drift_dba; UPDATE pg_policy SET polroles = '{0}' WHERE polname = 'mine' $$);
CREATE FUNCTION with_older_condition(newer text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	older pg_node_tree := (SELECT polqual FROM pg_policy WHERE polname = 'mine');
BEGIN
	EXECUTE format('ALTER POLICY mine ON entry USING (%s)', newer);
	UPDATE pg_policy SET polqual = older WHERE polname = 'mine';
END
$$;
SELECT * FROM change($$ SELECT with_older_condition('a > 0') $$);
-- made anew it is
SELECT * FROM change($$ SELECT with_older_condition('a > 0'); DROP POLICY mine ON entry;
	CREATE POLICY mine ON entry USING (b IN (SELECT rolname FROM pg_roles)) $$);
SELECT * FROM change($$ ALTER POLICY mine ON entry USING (true); SELECT with_older_condition('a > 0') $$);
SELECT * FROM change($$ CREATE POLICY extra ON entry USING (a > 0); DROP POLICY extra ON entry; SELECT extra_policy('entry', true) $$);
SELECT * FROM change($$ ALTER POLICY mine ON entry RENAME TO yours; ALTER POLICY yours ON entry RENAME TO mine;
	UPDATE pg_policy SET polname = 'yours' WHERE polname = 'mine' $$);
-- an admin event that somebody writes explains nothing, and an event of segments nobody writes
SELECT * FROM change($$ INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type, environment, target_type,
		target_id, reason, "after", outcome)
	VALUES (clock_timestamp(), 'policy.updated', 'x', 'human', 'prod', 'table', 'public.entry', 'x',
		'{"policies": ["mine"]}', 'success');
	UPDATE pg_policy SET polqual = polwithcheck WHERE polname = 'mine' $$);
INSERT INTO llm_audit.segment_event (environment, event, ledger, ledger_id, segment, leaf, lower, upper, is_default, actor, facts)
	SELECT environment, 'changed', ledger, ledger_id, segment, leaf, lower, upper, is_default, actor, '{"[\"policy\", \"mine\"]"}'
	FROM llm_audit.segment_event WHERE event = 'definition' AND ledger = 'public.entry';
-- row security that came later
SELECT * FROM change('ALTER TABLE parted ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
SELECT * FROM change($$ ALTER TABLE parted ENABLE ROW LEVEL SECURITY;
	UPDATE pg_class SET relrowsecurity = false WHERE oid = 'parted'::regclass $$);
-- foreign keys: added, in restore mode too, gone, changed, of a leaf
CREATE FUNCTION plant_key(relation regclass) RETURNS void LANGUAGE sql AS $$
	INSERT INTO pg_constraint SELECT (jsonb_populate_record(k, jsonb_build_object('oid', 999999, 'conname', 'planted',
		'conrelid', relation::oid::int8))).* FROM pg_constraint k WHERE k.conname = 'entry_t_fkey'
$$;
SELECT * FROM change($$ SELECT plant_key('entry') $$);
SELECT * FROM change($$ SELECT plant_key('llm_audit.settlement') $$);
SELECT * FROM change(format('SELECT plant_key(%L)', :'leaf'));
SELECT * FROM change($$ SET LOCAL llm_audit.restore = on; ALTER TABLE entry ADD CONSTRAINT late FOREIGN KEY (a) REFERENCES target $$);
SELECT * FROM change($$ SET LOCAL llm_audit.restore = on;
	ALTER TABLE llm_audit.llm_call ADD CONSTRAINT late FOREIGN KEY (input_tokens) REFERENCES target (id) $$);
SELECT * FROM change($$ UPDATE pg_constraint SET confdeltype = 'c' WHERE conname = 'entry_t_fkey' $$);
SELECT * FROM change($$ DELETE FROM pg_trigger WHERE tgconstraint = (SELECT oid FROM pg_constraint WHERE conname = 'entry_t_fkey');
	DELETE FROM pg_constraint WHERE conname = 'entry_t_fkey' $$);
-- to a ledger: planted; by a command it is recorded, but of no other
CREATE TABLE citing (entry uuid, other uuid);
SELECT * FROM change($$ UPDATE pg_constraint SET confrelid = 'entry'::regclass, conrelid = 'citing'::regclass, conkey = '{1}' WHERE conname = 'entry_t_fkey' $$);
SELECT * FROM change('ALTER TABLE citing ADD FOREIGN KEY (entry) REFERENCES entry (id)');
SELECT * FROM change('CREATE TABLE cites (entry uuid REFERENCES entry (id)); DROP TABLE cites');
SELECT * FROM change('ALTER TABLE citing ADD late uuid REFERENCES entry (id)');
SELECT * FROM change(format('ALTER TABLE citing ADD late uuid REFERENCES %s (id)', :'leaf'));
SELECT * FROM change($$ ALTER TABLE citing ADD FOREIGN KEY (entry) REFERENCES entry (id);
	UPDATE pg_constraint SET confupdtype = 'c' WHERE conname = 'citing_entry_fkey' $$);
SELECT * FROM change($$ ALTER TABLE citing ADD FOREIGN KEY (entry) REFERENCES entry (id);
	UPDATE pg_constraint SET conname = 'other' WHERE conname = 'citing_entry_fkey' $$);
-- exclusion
SELECT * FROM change($$ UPDATE pg_index SET indisexclusion = true WHERE indexrelid = 'entry_kind_idx'::regclass $$);

-- triggers of others: planted, as if they were the server's or came from above
CREATE FUNCTION plant_trigger(relation regclass, changes jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO pg_trigger SELECT (jsonb_populate_record(t, jsonb_build_object('oid', 999999, 'tgname', 'planted',
		'tgrelid', relation::oid::int8) || changes)).* FROM pg_trigger t WHERE t.tgname = 'quiet'
$$;
SELECT * FROM change($$ SELECT plant_trigger('entry', '{}') $$);
SELECT * FROM change($$ SELECT plant_trigger('llm_audit.settlement', '{}') $$);
SELECT * FROM change($$ SELECT plant_trigger('entry', '{"tgisinternal": true}') $$);
SELECT * FROM change($$ SELECT plant_trigger('entry', jsonb_build_object('tgisinternal', true, 'tgconstraint', oid))
	FROM pg_constraint WHERE conname = 'entry_t_fkey' $$);
SELECT * FROM change(format($$ SELECT plant_trigger(%L, jsonb_build_object('tgparentid', oid))
	FROM pg_trigger WHERE tgrelid = 'parted'::regclass AND tgname = 'llm_audit_insert' $$, :'leaf'));
SELECT * FROM change($$ SELECT plant_trigger('entry', '{"tgtype": 7}') $$);
SELECT * FROM change($$ UPDATE pg_trigger SET tgfoid = 'nothing_else'::regproc WHERE tgname = 'quiet' $$);
-- a trigger that is gone does nothing
SELECT * FROM change($$ DELETE FROM pg_trigger WHERE tgname = 'quiet' $$);
-- recorded
SELECT * FROM change('CREATE TRIGGER loud AFTER INSERT ON llm_audit.settlement FOR EACH ROW EXECUTE FUNCTION nothing()');
SELECT * FROM change(format('CREATE TRIGGER loud AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION nothing()', :'leaf'));
SELECT * FROM change('ALTER TABLE entry DISABLE TRIGGER quiet');
SELECT * FROM change($$ ALTER TABLE entry DISABLE TRIGGER quiet; UPDATE pg_trigger SET tgenabled = 'O' WHERE tgname = 'quiet' $$);
SELECT * FROM change($$ CREATE TRIGGER loud AFTER INSERT ON entry FOR EACH ROW EXECUTE FUNCTION nothing();
	UPDATE pg_trigger SET tgfoid = 'nothing_else'::regproc WHERE tgname = 'loud' $$);

-- defaults, NOT NULL, generation and identity
CREATE FUNCTION other_default(relation regclass, columns text, expression text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TEMP TABLE scratch (LIKE %s)', relation);
	EXECUTE format('ALTER TABLE scratch ADD d text DEFAULT %s', expression);
	UPDATE pg_attrdef k SET adbin = s.adbin FROM pg_attrdef s, pg_attribute a
		WHERE s.adrelid = 'scratch'::regclass AND k.adrelid = relation AND a.attrelid = relation
			AND a.attname = columns AND a.attnum = k.adnum;
	DROP TABLE scratch;
END
$$;
SELECT * FROM change($$ SELECT other_default('entry', 'needed', '''y''') $$);
SELECT * FROM change($$ SELECT other_default('entry', 'recorded_at', '''2000-01-01''::timestamptz') $$);
SELECT * FROM change($$ SELECT other_default('llm_audit.llm_call', 'organization_id', '''other''') $$);
SELECT * FROM change($$ UPDATE pg_attribute SET atthasdef = false WHERE attrelid = 'entry'::regclass AND attname = 'needed';
	DELETE FROM pg_attrdef d USING pg_attribute a WHERE a.attrelid = 'entry'::regclass AND a.attname = 'needed'
		AND d.adrelid = a.attrelid AND d.adnum = a.attnum $$);
SELECT * FROM change($$ UPDATE pg_attribute SET attgenerated = '' WHERE attrelid = 'entry'::regclass AND attname = 'twice' $$);
SELECT * FROM change(format($$ UPDATE pg_attrdef SET adbin = (SELECT adbin FROM pg_attrdef x JOIN pg_attribute y
		ON y.attrelid = x.adrelid AND y.attnum = x.adnum WHERE x.adrelid = 'parted'::regclass AND y.attname = 'big')
	WHERE adrelid = %1$L::regclass
	AND adnum = (SELECT attnum FROM pg_attribute WHERE attrelid = %1$L::regclass AND attname = 'twice') $$, :'leaf'));
SELECT * FROM change($$ UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'entry'::regclass AND attname = 'b' $$);
SELECT * FROM change($$ UPDATE pg_attribute SET attnotnull = false WHERE attrelid = 'entry'::regclass AND attname = 'needed' $$);
SELECT * FROM change(format($$ UPDATE pg_attribute SET attnotnull = true WHERE attrelid = %L::regclass AND attname = 'a' $$, :'leaf'));
SELECT * FROM change($$ UPDATE pg_attribute SET attnotnull = true
	WHERE attrelid = 'llm_audit.llm_call_prod_default'::regclass AND attname = 'duration_ms' $$);
-- recorded
SELECT * FROM change($$ ALTER TABLE entry ALTER needed SET DEFAULT 'q', ALTER big DROP DEFAULT; ALTER TABLE parted ALTER big SET DEFAULT 3 $$);
SELECT * FROM change($$ ALTER TABLE entry ADD later varchar(9); ALTER TABLE entry ALTER later SET DEFAULT 'x' $$);
SELECT * FROM change($$ ALTER TABLE entry ALTER needed SET DEFAULT 'q'; SELECT other_default('entry', 'needed', '''y''') $$);
SELECT * FROM change($$ ALTER TABLE entry ALTER needed SET DEFAULT 'q'; SELECT other_default('entry', 'needed', '''x''') $$);

-- a table above a ledger or a segment, a table below
CREATE TABLE above (a int);
SELECT * FROM change($$ INSERT INTO pg_inherits (inhrelid, inhparent, inhseqno, inhdetachpending) VALUES ('entry'::regclass, 'above'::regclass, 1, false) $$);
SELECT * FROM change(format($$ INSERT INTO pg_inherits (inhrelid, inhparent, inhseqno, inhdetachpending)
	VALUES (%L::regclass, 'above'::regclass, 2, false) $$, :'leaf'));
SELECT * FROM change($$ INSERT INTO pg_inherits (inhrelid, inhparent, inhseqno, inhdetachpending) VALUES ('above'::regclass, 'entry'::regclass, 1, false) $$)
	WHERE detail NOT LIKE 'trigger %' AND detail NOT LIKE '%column %';
-- replica identity
SELECT * FROM change($$ UPDATE pg_class SET relreplident = 'f' WHERE oid = 'entry'::regclass $$);

-- what is on record: what has changed, as it is now
CREATE POLICY theirs ON entry FOR SELECT TO drift_dba USING (a > 0);
ALTER POLICY theirs ON entry RENAME TO ours;
ALTER POLICY mine ON entry USING (a > 1) WITH CHECK (a > 2);
DROP POLICY ours ON entry;
ALTER TABLE entry FORCE ROW LEVEL SECURITY;
SELECT e."after" FROM llm_audit.admin_event e WHERE e.action = 'policy.created';
SELECT e.ledger, e.segment, e.facts FROM llm_audit.segment_event e WHERE e.event = 'changed' ORDER BY e.recorded_at;

-- nothing is left
SELECT * FROM llm_audit.verify();
\c postgres
DROP DATABASE verify_drift WITH (FORCE);
DROP ROLE drift_dba, drift_other;
