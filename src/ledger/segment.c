/*
 * segment.c
 *	  DDL on ledgers: branches, segments, dropping, letting go.
 *
 * A segment is built as a table of its own and then attached, because ATTACH
 * does not lock writers out of the parent; only the default segment beside
 * it is locked.  Each attempt waits llm_audit.ddl_lock_timeout at most, in a
 * subtransaction, so that nobody queues behind it for longer.
 *
 * These functions are for superusers: they run DDL on tables that a DBA made
 * and could make the caller run code that is attached to them.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

PG_FUNCTION_INFO_V1(llm_audit_create_branch);
PG_FUNCTION_INFO_V1(llm_audit_attach_segment);
PG_FUNCTION_INFO_V1(llm_audit_first_in_default);
PG_FUNCTION_INFO_V1(llm_audit_drop_relation);
PG_FUNCTION_INFO_V1(llm_audit_release_relation);
PG_FUNCTION_INFO_V1(llm_audit_encodable);

/* Attempts to get a lock before an attach gives up: about a minute. */
#define ATTACH_ATTEMPTS		300
#define ATTACH_PAUSE_MS		100

/*
 * What every relation below a ledger's root has: the guard trigger, our owner
 * and row security without a policy, so that who may read any table there is,
 * or was given a grant by ALTER DEFAULT PRIVILEGES, sees what the root's
 * policies show and no row beside them.
 */
#define GUARD_SQL \
	"CREATE TRIGGER llm_audit_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON %s " \
	"FOR EACH STATEMENT EXECUTE FUNCTION llm_audit.ledger_guard(); " \
	"ALTER TABLE %s ENABLE ALWAYS TRIGGER llm_audit_guard; " \
	"ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; " \
	"ALTER TABLE %s OWNER TO llm_audit_owner; " \
	"SELECT llm_audit.revoke_defaults(%s); "

static void
RequireSuperuser(const char *function)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function),
				 errhint("Only a superuser may change what is a ledger.")));
}

/* schema.name of a relation, quoted. */
static char *
QualifiedName(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

/* Appends the statements of GUARD_SQL for a new table. */
static void
AppendGuard(StringInfo sql, const char *table)
{
	appendStringInfo(sql, GUARD_SQL, table, table, table, table,
					 quote_literal_cstr(table));
}

/* Runs SQL with a permit; SPI must be connected. */
static void
RunPermitted(PermitKind kind, const char *sql)
{
	int			rc = PermitRun(kind, sql);

	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
}

bool
SegmentTry(PermitKind kind, const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char		timeout[32];
	volatile bool done = true;

	snprintf(timeout, sizeof(timeout), "%d", llm_audit_ddl_lock_timeout);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		int			nest = NewGUCNestLevel();

		(void) set_config_option("lock_timeout", timeout, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
		RunPermitted(kind, sql);
		AtEOXact_GUC(true, nest);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
		done = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return done;
}

/* Attempts until it succeeds, or gives up with an error. */
static void
AttachWithRetry(const char *sql, const char *parent)
{
	for (int attempt = 0; attempt < ATTACH_ATTEMPTS; attempt++)
	{
		if (SegmentTry(PERMIT_DDL, sql))
			return;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 ATTACH_PAUSE_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not get a lock to attach a partition to %s", parent),
			 errhint("A long transaction holds a lock on it; try again, or raise \"%s\".",
					 "llm_audit.ddl_lock_timeout")));
}

/*
 * llm_audit.create_branch(ledger regclass, branch name, environment text)
 *		Makes the partition of an environment below a ledger's root.  A NULL
 *		environment makes the leaf for unknown ones, which refuses every row.
 */
Datum
llm_audit_create_branch(PG_FUNCTION_ARGS)
{
	Oid			root;
	char	   *parent;
	char	   *branch;
	StringInfoData sql;

	RequireSuperuser("create_branch");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("ledger and branch must not be null")));
	root = PG_GETARG_OID(0);
	parent = QualifiedName(root);
	branch = quote_qualified_identifier(get_namespace_name(get_rel_namespace(root)),
										NameStr(*PG_GETARG_NAME(1)));

	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS "
					 "INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION) %s; ",
					 branch, parent,
					 PG_ARGISNULL(2) ? "" : "PARTITION BY RANGE (recorded_at)");
	AppendGuard(&sql, branch);
	RunPermitted(PERMIT_DDL, sql.data);

	resetStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s ATTACH PARTITION %s ", parent, branch);
	if (PG_ARGISNULL(2))
		appendStringInfoString(&sql, "DEFAULT");
	else
		appendStringInfo(&sql, "FOR VALUES IN (%s)",
						 quote_literal_cstr(text_to_cstring(PG_GETARG_TEXT_PP(2))));
	AttachWithRetry(sql.data, parent);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * A bound of a partition, as a literal: in UTC and in ISO form, since what
 * other date styles write they need not read back as the same time.
 */
static char *
BoundLiteral(TimestampTz bound)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char		literal[MAXDATELEN + 1];

	if (TIMESTAMP_IS_NOBEGIN(bound))
		return pstrdup("'-infinity'");
	if (TIMESTAMP_IS_NOEND(bound))
		return pstrdup("'infinity'");
	if (timestamp2tm(bound, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("bound of a segment is out of range")));
	tm.tm_isdst = 0;			/* UTC, and to be said so */
	EncodeDateTime(&tm, fsec, true, 0, NULL, USE_ISO_DATES, literal);
	return quote_literal_cstr(literal);
}

/*
 * llm_audit.attach_segment(branch regclass, leaf name, lower timestamptz,
 *							upper timestamptz)
 *		Makes a leaf with the two indexes that chaining needs and attaches it
 *		to an environment's branch; with NULL bounds as its default.  The
 *		caller registers it.
 */
Datum
llm_audit_attach_segment(PG_FUNCTION_ARGS)
{
	Oid			branch;
	char	   *parent;
	char	   *leaf;
	const char *lane_index;
	StringInfoData sql;

	RequireSuperuser("attach_segment");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) != PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("branch and leaf must not be null, and bounds only both")));
	branch = PG_GETARG_OID(0);
	parent = QualifiedName(branch);
	leaf = quote_qualified_identifier(get_namespace_name(get_rel_namespace(branch)),
									  NameStr(*PG_GETARG_NAME(1)));
	/* the name of a long leaf is cut off where its date stands */
	lane_index = quote_identifier(ChooseRelationName(NameStr(*PG_GETARG_NAME(1)),
													 NULL, "lane_idx",
													 get_rel_namespace(branch),
													 false));

	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS "
					 "INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION); "
					 "CREATE UNIQUE INDEX ON %s (id); "
					 "CREATE UNIQUE INDEX %s ON %s (chain_lane, chain_seq); "
					 "ALTER TABLE %s REPLICA IDENTITY USING INDEX %s; ",
					 leaf, parent, leaf, lane_index, leaf, leaf, lane_index);
	AppendGuard(&sql, leaf);
	RunPermitted(PERMIT_DDL, sql.data);

	resetStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s ATTACH PARTITION %s ", parent, leaf);
	if (PG_ARGISNULL(2))
		appendStringInfoString(&sql, "DEFAULT");
	else
		appendStringInfo(&sql, "FOR VALUES FROM (%s) TO (%s)",
						 BoundLiteral(PG_GETARG_TIMESTAMPTZ(2)),
						 BoundLiteral(PG_GETARG_TIMESTAMPTZ(3)));
	AttachWithRetry(sql.data, parent);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * The least recorded_at of a table's rows that is in a period; infinity if
 * there is none.  The caller holds a lock on the table.  Rows that are not
 * committed are not seen: those are of now, and no segment is made for that.
 */
static TimestampTz
FirstInPeriod(Relation leaf, TimestampTz lower, TimestampTz upper)
{
	AttrNumber	column = get_attnum(RelationGetRelid(leaf), "recorded_at");
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(leaf, NULL);
	TableScanDesc scan = table_beginscan(leaf, snapshot, 0, NULL);
	TimestampTz first = DT_NOEND;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		is_null;
		TimestampTz at = DatumGetTimestampTz(slot_getattr(slot, column, &is_null));

		CHECK_FOR_INTERRUPTS();
		if (!is_null && at >= lower && at < upper && at < first)
			first = at;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	return first;
}

/*
 * llm_audit.first_in_default(branch regclass, from_time timestamptz,
 *							  to_time timestamptz) -> timestamptz
 *		When the first row of a period was recorded that is in the branch's
 *		default partition: what attaching a segment for it would fail for.
 *		A time is all that leaves here, so it is no read to be recorded.
 */
Datum
llm_audit_first_in_default(PG_FUNCTION_ARGS)
{
	Oid			default_leaf;
	Relation	leaf;
	TimestampTz first;

	RequireSuperuser("first_in_default");
	if (LedgerRelationClassify(PG_GETARG_OID(0)) != LEDGER_REL_BRANCH)
		PG_RETURN_NULL();		/* something else that has the name of one */
	default_leaf = get_default_partition_oid(PG_GETARG_OID(0));
	if (!OidIsValid(default_leaf))
		PG_RETURN_NULL();
	leaf = table_open(default_leaf, AccessShareLock);
	first = FirstInPeriod(leaf, PG_GETARG_TIMESTAMPTZ(1),
						  PG_GETARG_TIMESTAMPTZ(2));
	table_close(leaf, AccessShareLock);
	if (TIMESTAMP_IS_NOEND(first))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(first);
}

/*
 * Checks what drop_relation() and release_relation() are given and returns
 * the ledger's name.  The server log has it in any case: admin_event may be
 * what goes.
 */
static char *
BeginUnmaking(FunctionCallInfo fcinfo, const char *what)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *reason = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *name;

	RequireSuperuser(what);
	if (strspn(reason, " \t\r\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a reason is needed to take a ledger away")));
	if (LedgerRelationClassify(relid) != LEDGER_REL_ROOT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation with OID %u is not a ledger", relid)));
	name = QualifiedName(relid);
	ereport(LOG,
			(errmsg("llm_audit: ledger %s is %s by \"%s\"", name, what,
					GetUserNameFromId(GetSessionUserId(), false)),
			 errdetail_log("Reason: %s", reason)));
	return name;
}

/*
 * llm_audit.drop_relation(relation regclass, reason text)
 *		The door behind drop_ledger() and uninstall(): drops a ledger's root
 *		with all below it.  The caller records it and clears the registry.
 */
Datum
llm_audit_drop_relation(PG_FUNCTION_ARGS)
{
	char	   *name = BeginUnmaking(fcinfo, "dropped");
	StringInfoData sql;

	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql, "DROP TABLE %s", name);
	RunPermitted(PERMIT_DROP, sql.data);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * llm_audit.release_relation(relation regclass, reason text, new_owner name)
 *		The door behind uninstall() for a table that create_ledger() has
 *		enrolled: takes away what makes it a ledger and leaves the table, its
 *		segments and its rows to new_owner.  The caller clears the registry.
 */
Datum
llm_audit_release_relation(PG_FUNCTION_ARGS)
{
	char	   *name = BeginUnmaking(fcinfo, "released");
	const char *owner = quote_identifier(NameStr(*PG_GETARG_NAME(2)));
	List	   *tables;
	ListCell   *lc;
	StringInfoData sql;

	tables = find_all_inheritors(PG_GETARG_OID(0), AccessExclusiveLock, NULL);
	SPI_connect();
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "DROP TRIGGER IF EXISTS llm_audit_insert ON %s; "
					 "DROP TRIGGER IF EXISTS llm_audit_guard_row ON %s; "
					 "ALTER TABLE %s ALTER COLUMN id DROP DEFAULT, "
					 "ALTER COLUMN recorded_at DROP DEFAULT; "
					 "REVOKE INSERT ON %s FROM llm_audit_writer; ",
					 name, name, name, name);
	foreach(lc, tables)
	{
		char	   *table = QualifiedName(lfirst_oid(lc));

		appendStringInfo(&sql,
						 "DROP TRIGGER IF EXISTS llm_audit_guard ON %s; "
						 "ALTER TABLE %s OWNER TO %s; ",
						 table, table, owner);
		if (lfirst_oid(lc) != PG_GETARG_OID(0))
			appendStringInfo(&sql,
							 "ALTER TABLE %s DISABLE ROW LEVEL SECURITY, "
							 "NO FORCE ROW LEVEL SECURITY; ", table);
	}
	RunPermitted(PERMIT_DROP, sql.data);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * llm_audit.encodable(type oid) -> boolean
 *		Whether values of a base type can be hashed.
 */
Datum
llm_audit_encodable(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(EncodeKindOf(PG_GETARG_OID(0)) != ENCODE_NONE);
}
