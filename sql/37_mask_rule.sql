-- Custom rules and dictionaries: what the scanner looks for beyond what it
-- knows.  The trigger reads them as it reads the registry.

CREATE TABLE llm_audit.mask_rule (
	name name PRIMARY KEY,
	keyword text NOT NULL,
	pattern text NOT NULL,
	entity text NOT NULL,
	style text NOT NULL CHECK (style IN ('tag', 'last2', 'last4', 'ends')),
	data_class text NOT NULL
		CHECK (data_class IN ('public', 'internal', 'personal', 'banking_secrecy')),
	ledger_id uuid,
	column_name name,
	active boolean NOT NULL DEFAULT true,
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE llm_audit.mask_rule IS
	'custom rules of masking: a regular expression that runs where a keyword stands';
COMMENT ON COLUMN llm_audit.mask_rule.name IS 'name of the rule';
COMMENT ON COLUMN llm_audit.mask_rule.keyword IS
	'literal that must stand near, in any case: in the text, or in the name of its column or JSON key';
COMMENT ON COLUMN llm_audit.mask_rule.pattern IS
	'regular expression of what is masked; its first group, if it has one';
COMMENT ON COLUMN llm_audit.mask_rule.entity IS
	'kind of finding: one of the scanner''s, or a name of its own';
COMMENT ON COLUMN llm_audit.mask_rule.style IS
	'what is stored: tag: <ENTITY>; last2, last4: with the last characters; ends: the first and last four';
COMMENT ON COLUMN llm_audit.mask_rule.data_class IS
	'to which a finding of a kind of its own raises a row';
COMMENT ON COLUMN llm_audit.mask_rule.ledger_id IS
	'ledger that the rule is for; NULL: all';
COMMENT ON COLUMN llm_audit.mask_rule.column_name IS
	'column that the rule is for; NULL: all';
COMMENT ON COLUMN llm_audit.mask_rule.active IS
	'false: dropped; kept so that masking_version still tells the change';
COMMENT ON COLUMN llm_audit.mask_rule.changed_at IS
	'when the rule was last changed; part of masking_version';
COMMENT ON COLUMN llm_audit.mask_rule.changed_by IS
	'session user who changed it';

CREATE TABLE llm_audit.dictionary (
	name name PRIMARY KEY,
	entity text NOT NULL,
	data_class text NOT NULL
		CHECK (data_class IN ('public', 'internal', 'personal', 'banking_secrecy')),
	sealed boolean NOT NULL,
	terms bigint NOT NULL DEFAULT 0,
	active boolean NOT NULL DEFAULT true,
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE llm_audit.dictionary IS
	'lists of terms that are masked wherever they stand: people, projects, code names';
COMMENT ON COLUMN llm_audit.dictionary.name IS 'name of the dictionary';
COMMENT ON COLUMN llm_audit.dictionary.entity IS
	'kind of finding: one of the scanner''s, or a name of its own';
COMMENT ON COLUMN llm_audit.dictionary.data_class IS
	'to which a finding of a kind of its own raises a row';
COMMENT ON COLUMN llm_audit.dictionary.sealed IS
	'only keyed hashes of its terms are stored';
COMMENT ON COLUMN llm_audit.dictionary.terms IS 'how many terms it has';
COMMENT ON COLUMN llm_audit.dictionary.active IS
	'false: dropped; kept so that masking_version still tells the change';
COMMENT ON COLUMN llm_audit.dictionary.changed_at IS
	'when it was last changed, terms included; part of masking_version';
COMMENT ON COLUMN llm_audit.dictionary.changed_by IS
	'session user who changed it';

CREATE TABLE llm_audit.dictionary_term (
	dictionary text NOT NULL,
	term text,
	hashes bytea NOT NULL,
	key_id text,
	PRIMARY KEY (dictionary, hashes),
	CHECK ((term IS NULL) = (key_id IS NOT NULL))
);
COMMENT ON TABLE llm_audit.dictionary_term IS
	'terms of dictionaries; nobody but their owner may read them';
COMMENT ON COLUMN llm_audit.dictionary_term.dictionary IS 'name of the dictionary';
COMMENT ON COLUMN llm_audit.dictionary_term.term IS
	'the term; NULL where the dictionary is sealed';
COMMENT ON COLUMN llm_audit.dictionary_term.hashes IS
	'hashes of its words, under the key if it is sealed';
COMMENT ON COLUMN llm_audit.dictionary_term.key_id IS
	'id of the key under which it is sealed';
REVOKE ALL ON llm_audit.dictionary_term FROM PUBLIC;

DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['mask_rule', 'dictionary']
	LOOP
		EXECUTE pg_catalog.format(
			'CREATE TRIGGER llm_audit_config AFTER INSERT OR UPDATE OR DELETE
				ON llm_audit.%I FOR EACH ROW
				EXECUTE FUNCTION llm_audit.config_changed()', t);
		EXECUTE pg_catalog.format(
			'ALTER TABLE llm_audit.%I ENABLE ALWAYS TRIGGER llm_audit_config', t);
	END LOOP;
END
$$;
SELECT pg_catalog.pg_extension_config_dump('llm_audit.mask_rule', '');
SELECT pg_catalog.pg_extension_config_dump('llm_audit.dictionary', '');
SELECT pg_catalog.pg_extension_config_dump('llm_audit.dictionary_term', '');

CREATE FUNCTION llm_audit.check_mask_rule(name text, keyword text, pattern text)
	RETURNS numeric
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_check_mask_rule';
COMMENT ON FUNCTION llm_audit.check_mask_rule(text, text, text) IS
	'tries a rule on hostile texts without making it; returns the microseconds of CPU time that the worst of them took, of 1,280 bytes each; 2201B for a pattern that is invalid, refers back, matches the empty text or is slow; name is for messages only';
REVOKE EXECUTE ON FUNCTION llm_audit.check_mask_rule(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.check_mask_rule(text, text, text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.entity_exists(name text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_entity_exists';
COMMENT ON FUNCTION llm_audit.entity_exists(text) IS
	'whether the scanner knows an entity of that name by itself';
REVOKE EXECUTE ON FUNCTION llm_audit.entity_exists(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.term_hashes(term text, key_id text) RETURNS bytea
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_term_hashes';
COMMENT ON FUNCTION llm_audit.term_hashes(text, text) IS
	'what a dictionary keeps of a term, sealed under a key or, with an empty key_id, not; NULL if it cannot be a term';
REVOKE EXECUTE ON FUNCTION llm_audit.term_hashes(text, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.dictionary_memory() RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_dictionary_memory';
COMMENT ON FUNCTION llm_audit.dictionary_memory() IS
	'bytes that the dictionaries take in this session, which reads them if it has not yet';
REVOKE EXECUTE ON FUNCTION llm_audit.dictionary_memory() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.dictionary_memory() TO llm_audit_admin;

CREATE FUNCTION llm_audit.hide_statement() RETURNS void
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_hide_statement';
COMMENT ON FUNCTION llm_audit.hide_statement() IS
	'takes the text of the running statement out of pg_stat_activity';
REVOKE EXECUTE ON FUNCTION llm_audit.hide_statement() FROM PUBLIC;

-- The class of an entity that rules or dictionaries name: the scanner's have
-- one already.  At most 16 have a name of their own.
CREATE FUNCTION llm_audit.check_entity(entity text, data_class text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF entity IS NULL OR entity !~ '^[A-Z][A-Z0-9_]{1,39}$' THEN
		RAISE EXCEPTION 'entity must be a name of 2 to 40 capital letters, digits and underscores'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF data_class NOT IN ('public', 'internal', 'personal', 'banking_secrecy') THEN
		RAISE EXCEPTION 'data_class must be public, internal, personal or banking_secrecy'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF llm_audit.entity_exists(entity) THEN
		IF data_class IS NOT NULL THEN
			RAISE EXCEPTION 'the data class of entity % cannot be set', entity
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'It is one of the scanner''s. Leave data_class out, or give the entity a name of its own.';
		END IF;
	ELSIF (SELECT count(DISTINCT e) >= 16
		FROM (SELECT r.entity AS e FROM llm_audit.mask_rule r WHERE r.active
			UNION ALL SELECT d.entity FROM llm_audit.dictionary d WHERE d.active) AS u
		WHERE e <> check_entity.entity AND NOT llm_audit.entity_exists(e))
	THEN
		RAISE EXCEPTION 'mask rules and dictionaries may name 16 entities of their own'
			USING ERRCODE = 'program_limit_exceeded';
	END IF;
	RETURN coalesce(data_class, 'personal');
END
$$;
COMMENT ON FUNCTION llm_audit.check_entity(text, text) IS
	'checks the entity of a rule or dictionary and returns its data class';
REVOKE EXECUTE ON FUNCTION llm_audit.check_entity(text, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.add_mask_rule(name name, keyword text, pattern text,
		entity text, style text DEFAULT 'tag', ledger regclass DEFAULT NULL,
		column_name name DEFAULT NULL, data_class text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	class text := llm_audit.check_entity(entity, data_class);
	for_ledger uuid;
	worst numeric;
BEGIN
	IF name IS NULL OR name !~ '^[a-z][a-z0-9_-]*$' THEN
		RAISE EXCEPTION 'name must consist of small letters, digits, - and _'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF keyword IS NULL OR keyword !~ '^\S.*\S$' OR octet_length(keyword) NOT BETWEEN 3 AND 64 THEN
		RAISE EXCEPTION 'keyword must have 3 to 64 bytes and no spaces at its ends'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF coalesce(pattern, '') = '' OR octet_length(pattern) > 1000 THEN
		RAISE EXCEPTION 'pattern must have 1 to 1000 bytes'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF style IS NULL OR style NOT IN ('tag', 'last2', 'last4', 'ends') THEN
		RAISE EXCEPTION 'style must be tag, last2, last4 or ends'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF ledger IS NOT NULL THEN
		SELECT l.ledger_id INTO for_ledger FROM llm_audit.ledger_of(ledger) AS l;
		IF NOT FOUND THEN
			RAISE EXCEPTION '"%" is not a ledger', ledger
				USING ERRCODE = 'wrong_object_type';
		END IF;
	END IF;
	IF column_name IS NOT NULL AND NOT EXISTS (SELECT FROM llm_audit.ledger_column k
		WHERE k.column_name = column_name AND (for_ledger IS NULL OR k.ledger_id = for_ledger))
	THEN
		RAISE EXCEPTION 'there is no such column of a ledger'
			USING ERRCODE = 'undefined_column';
	END IF;
	worst := llm_audit.check_mask_rule(name, keyword, pattern);
	LOCK TABLE llm_audit.mask_rule IN SHARE ROW EXCLUSIVE MODE;
	IF (SELECT count(*) >= 64 FROM llm_audit.mask_rule r WHERE r.active) THEN
		RAISE EXCEPTION 'there are 64 mask rules already'
			USING ERRCODE = 'program_limit_exceeded';
	END IF;
	INSERT INTO llm_audit.mask_rule AS r
		VALUES (name, keyword, pattern, entity, style, class, for_ledger, column_name)
		ON CONFLICT ON CONSTRAINT mask_rule_pkey DO UPDATE
		SET keyword = EXCLUDED.keyword, pattern = EXCLUDED.pattern,
			entity = EXCLUDED.entity, style = EXCLUDED.style,
			data_class = EXCLUDED.data_class, ledger_id = EXCLUDED.ledger_id,
			column_name = EXCLUDED.column_name, active = true,
			changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by
		WHERE NOT r.active;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'mask rule "%" exists already', name
			USING ERRCODE = 'duplicate_object',
				HINT = 'To change it, drop it and add it again in one transaction.';
	END IF;
	PERFORM llm_audit.record_own_event('mask_rule.added', 'mask_rule', name, NULL,
		jsonb_build_object('keyword', keyword, 'pattern', pattern, 'entity', entity,
			'style', style, 'ledger', ledger::text, 'column', column_name,
			'worst_microseconds', worst));
END
$$;
COMMENT ON FUNCTION llm_audit.add_mask_rule(name, text, text, text, text, regclass, name, text) IS
	'masks what a regular expression matches near a keyword (in any case), in all sessions from their next statement on; style: tag, last2, last4 or ends; ledger and column NULL: all; the pattern is tried on hostile texts and refused if it is slow; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION
	llm_audit.add_mask_rule(name, text, text, text, text, regclass, name, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	llm_audit.add_mask_rule(name, text, text, text, text, regclass, name, text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.drop_mask_rule(name name, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	r llm_audit.mask_rule;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'drop a mask rule');
	UPDATE llm_audit.mask_rule m SET active = false, changed_at = clock_timestamp(),
			changed_by = session_user
		WHERE m.name = name AND m.active
		RETURNING * INTO r;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'mask rule "%" does not exist', name
			USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM llm_audit.record_own_event('mask_rule.dropped', 'mask_rule', name, reason,
		jsonb_build_object('keyword', r.keyword, 'pattern', r.pattern, 'entity', r.entity));
END
$$;
COMMENT ON FUNCTION llm_audit.drop_mask_rule(name, text) IS
	'takes a mask rule out of use, in all sessions from their next statement on; recorded as high-risk; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_mask_rule(name, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.drop_mask_rule(name, text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.create_dictionary(name name, entity text DEFAULT 'PERSON',
		sealed boolean DEFAULT false, data_class text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	class text := llm_audit.check_entity(entity, data_class);
BEGIN
	IF name IS NULL OR name !~ '^[a-z][a-z0-9_-]*$' OR sealed IS NULL THEN
		RAISE EXCEPTION 'name must consist of small letters, digits, - and _, and sealed must not be null'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF sealed THEN
		PERFORM llm_audit.key_ids();
	END IF;
	INSERT INTO llm_audit.dictionary AS d VALUES (name, entity, class, sealed)
		ON CONFLICT ON CONSTRAINT dictionary_pkey DO UPDATE
		SET entity = EXCLUDED.entity, data_class = EXCLUDED.data_class,
			sealed = EXCLUDED.sealed, terms = 0, active = true,
			changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by
		WHERE NOT d.active;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'dictionary "%" exists already', name
			USING ERRCODE = 'duplicate_object';
	END IF;
	PERFORM llm_audit.record_own_event('dictionary.created', 'dictionary', name, NULL,
		jsonb_build_object('entity', entity, 'sealed', sealed));
END
$$;
COMMENT ON FUNCTION llm_audit.create_dictionary(name, text, boolean, text) IS
	'makes an empty dictionary whose terms will be masked as entity; sealed: only hashes of them under the current key are stored, which nobody can read or test; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.create_dictionary(name, text, boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.create_dictionary(name, text, boolean, text) TO llm_audit_admin;

-- The dictionary of that name, locked against other changes.
CREATE FUNCTION llm_audit.lock_dictionary(name name) RETURNS llm_audit.dictionary
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	d llm_audit.dictionary;
BEGIN
	SELECT * INTO d FROM llm_audit.dictionary x
		WHERE x.name = lock_dictionary.name AND x.active FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'dictionary "%" does not exist', name
			USING ERRCODE = 'undefined_object';
	END IF;
	RETURN d;
END
$$;
COMMENT ON FUNCTION llm_audit.lock_dictionary(name) IS
	'a dictionary, locked until the transaction ends; part of the functions that change one';
REVOKE EXECUTE ON FUNCTION llm_audit.lock_dictionary(name) FROM PUBLIC;

CREATE FUNCTION llm_audit.add_dictionary_terms(name name, terms text[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.dictionary;
	key_id text := '';
	older text[];
	unfit int;
	added int;
BEGIN
	PERFORM llm_audit.hide_statement();
	d := llm_audit.lock_dictionary(name);
	IF d.sealed THEN
		key_id := (llm_audit.key_ids())[1];
	END IF;
	SELECT count(*) INTO unfit FROM unnest(terms) AS t (term)
		WHERE term IS NULL OR llm_audit.term_hashes(term, '') IS NULL;
	IF unfit > 0 THEN
		RAISE EXCEPTION '% terms of dictionary "%" cannot be looked for', unfit, name
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'A term has 1 to 8 words, at most 200 bytes, and two letters or four digits.';
	END IF;
	-- a term that is there under an older key is there
	older := CASE WHEN d.sealed THEN (llm_audit.key_ids())[2:] ELSE '{}' END;
	INSERT INTO llm_audit.dictionary_term (dictionary, term, hashes, key_id)
		SELECT name, CASE WHEN NOT d.sealed THEN t.term END,
				llm_audit.term_hashes(t.term, key_id), nullif(key_id, '')
			FROM unnest(terms) AS t (term)
			WHERE older = '{}' OR NOT EXISTS (SELECT FROM llm_audit.dictionary_term x
				WHERE x.dictionary = name AND x.hashes = ANY (ARRAY(
					SELECT llm_audit.term_hashes(t.term, k.id) FROM unnest(older) AS k (id))))
		ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS added = ROW_COUNT;
	UPDATE llm_audit.dictionary x SET terms = x.terms + added,
			changed_at = clock_timestamp(), changed_by = session_user
		WHERE x.name = name AND added > 0;
	PERFORM llm_audit.record_own_event('dictionary.extended', 'dictionary', name, NULL,
		jsonb_build_object('added', added, 'terms', d.terms + added));
	RETURN added;
END
$$;
COMMENT ON FUNCTION llm_audit.add_dictionary_terms(name, text[]) IS
	'adds terms to a dictionary and returns how many are new; in force in all sessions from their next statement on; the terms are in no event: pass them as a parameter, not in the text of the statement; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.add_dictionary_terms(name, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.add_dictionary_terms(name, text[]) TO llm_audit_admin;

CREATE FUNCTION llm_audit.remove_dictionary_terms(name name, terms text[], reason text)
	RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.dictionary;
	keys text[] := '{""}';
	removed int;
BEGIN
	PERFORM llm_audit.hide_statement();
	PERFORM llm_audit.require_reason(reason, 'remove terms from a dictionary');
	d := llm_audit.lock_dictionary(name);
	IF d.sealed THEN
		keys := llm_audit.key_ids();
	END IF;
	DELETE FROM llm_audit.dictionary_term x
		WHERE x.dictionary = name AND x.hashes IN (
			SELECT llm_audit.term_hashes(t.term, k.id)
			FROM unnest(terms) AS t (term) CROSS JOIN unnest(keys) AS k (id)
			WHERE t.term IS NOT NULL);
	GET DIAGNOSTICS removed = ROW_COUNT;
	UPDATE llm_audit.dictionary x SET terms = x.terms - removed,
			changed_at = clock_timestamp(), changed_by = session_user
		WHERE x.name = name AND removed > 0;
	PERFORM llm_audit.record_own_event('dictionary.reduced', 'dictionary', name, reason,
		jsonb_build_object('removed', removed, 'terms', d.terms - removed));
	RETURN removed;
END
$$;
COMMENT ON FUNCTION llm_audit.remove_dictionary_terms(name, text[], text) IS
	'removes terms from a dictionary and returns how many there were; recorded as high-risk; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.remove_dictionary_terms(name, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.remove_dictionary_terms(name, text[], text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.drop_dictionary(name name, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.dictionary;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'drop a dictionary');
	d := llm_audit.lock_dictionary(name);
	DELETE FROM llm_audit.dictionary_term x WHERE x.dictionary = name;
	UPDATE llm_audit.dictionary x SET active = false, terms = 0,
			changed_at = clock_timestamp(), changed_by = session_user
		WHERE x.name = name;
	PERFORM llm_audit.record_own_event('dictionary.dropped', 'dictionary', name, reason,
		jsonb_build_object('entity', d.entity, 'terms', d.terms));
END
$$;
COMMENT ON FUNCTION llm_audit.drop_dictionary(name, text) IS
	'takes a dictionary out of use and deletes its terms; recorded as high-risk; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_dictionary(name, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.drop_dictionary(name, text) TO llm_audit_admin;
