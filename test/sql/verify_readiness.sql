-- readiness(): each item can be ok and can be not.
\set VERBOSITY terse
CREATE DATABASE verify_readiness TEMPLATE template0 ENCODING 'UTF8';
\c verify_readiness
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT * FROM llm_audit.readiness_ledgers();
SELECT count(*) > 0 AS made FROM llm_audit.setup();
-- of this test server: no checksums, no fsync, nobody there
SELECT * FROM llm_audit.readiness() WHERE item <> 'data checksums';
SELECT ok = current_setting('data_checksums')::boolean AS right
	FROM llm_audit.readiness() WHERE item = 'data checksums';

CREATE FUNCTION item(name text, harm text DEFAULT 'SELECT 1')
RETURNS TABLE (item text, before boolean, after boolean, hint text) LANGUAGE plpgsql AS $$
DECLARE
	was boolean;
	tells text;
	afterwards boolean;
BEGIN
	SELECT r.ok INTO STRICT was FROM llm_audit.readiness() r WHERE r.item = name;
	BEGIN
		EXECUTE harm;
		SELECT r.ok, r.hint INTO STRICT afterwards, tells FROM llm_audit.readiness() r WHERE r.item = name;
		RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
	EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
		NULL;
	END;
	RETURN QUERY SELECT name, was, afterwards, tells;
END
$$;
SELECT * FROM item('no repair settings', 'SET zero_damaged_pages = on');
SELECT * FROM item('no repair settings', 'SET allow_system_table_mods = on');
SELECT * FROM item('durable commits', 'SET synchronous_commit = off');
SELECT * FROM item('restore mode off', 'SET llm_audit.restore = on');
SELECT * FROM item('lanes', 'SET llm_audit.max_lanes = 10');
SELECT * FROM item('lanes', format('SET llm_audit.max_lanes = %s',
	current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int));
SELECT * FROM item('keys', 'SET llm_audit.key_file = ''''');
SELECT * FROM item('set up', 'DELETE FROM llm_audit.ledger WHERE relation_name = ''settlement''');
SELECT * FROM item('segments ahead', 'DELETE FROM llm_audit.ledger_segment
	WHERE relation_name LIKE ''settlement_prod%'' AND upper > now() + interval ''1 month''');
SELECT * FROM item('closed in time', 'UPDATE llm_audit.ledger_segment SET upper = now() - interval ''2 days''
	WHERE relation_name LIKE ''settlement_prod_default''');
SELECT * FROM item('columns registered', 'DELETE FROM llm_audit.ledger_column WHERE column_name = ''invoice_id''');
SELECT item, before, after FROM item('default segments empty', 'UPDATE llm_audit.ledger_segment
	SET is_default = true WHERE relation_name LIKE ''segment\_event\_prod\_2%''');
SELECT * FROM item('somebody can write', 'CREATE ROLE verify_w LOGIN; CREATE ROLE verify_g; GRANT llm_audit_writer TO verify_g; GRANT verify_g TO verify_w');
SELECT * FROM item('somebody can verify', 'CREATE ROLE verify_w LOGIN; GRANT llm_audit_compliance TO verify_w');

-- who may ask
CREATE ROLE verify_asks;
SET ROLE verify_asks;
SELECT * FROM llm_audit.readiness();
SELECT * FROM llm_audit.readiness_settings();
RESET ROLE;
GRANT llm_audit_admin TO verify_asks;
SET ROLE verify_asks;
SELECT count(*) > 10 AS some FROM llm_audit.readiness();
RESET ROLE;
\c postgres
DROP DATABASE verify_readiness WITH (FORCE);
DROP ROLE verify_asks;
