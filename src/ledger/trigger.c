/*
 * trigger.c
 *	  The one BEFORE INSERT trigger of every ledger: refuse, validate,
 *	  mask, stamp, chain.
 *
 * It runs as the writer and once per row, in the executor's per-tuple
 * memory; only the preimage buffer outlives a row.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "ledger/scope.h"
#include "ledger/validate.h"
#include "miscadmin.h"
#include "policy/policy.h"
#include "replication/logicalworker.h"
#include "retention/expiry.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(llm_audit_ledger_insert);

static EncodeBuffer preimage = {NULL, 0, 0};

/* The error for a leaf that the registry does not know. */
static void
RefuseUnregistered(Relation leaf)
{
	const char *name = RelationGetRelationName(leaf);
	size_t		len = strlen(name);

	/* setup() and create_ledger() make this leaf for all other values */
	if (len > 8 && strcmp(name + len - 8, "_unknown") == 0 &&
		LedgerRelationClassify(RelationGetRelid(leaf)) == LEDGER_REL_BRANCH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of column \"environment\" is not an environment of this ledger"),
				 errhint("The environments are in llm_audit.environment; add one with llm_audit.add_environment().")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not a registered ledger segment", name),
			 errhint("Segments are made by llm_audit.make_segments() only. If a dump is being restored, restore the configuration tables of schema llm_audit first.")));
}

/* The segment of the leaf, or an error why it takes no rows. */
static const Segment *
SegmentForInsert(Relation leaf)
{
	const Segment *seg = SegmentLookup(RelationGetRelid(leaf));

	if (seg == NULL)
		RefuseUnregistered(leaf);
	if (NameStr(seg->mismatch)[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of ledger \"%s\" does not agree with the registry",
						NameStr(seg->mismatch), NameStr(seg->ledger_name)),
				 errhint("Register a new column with llm_audit.register_columns().")));
	if (NameStr(seg->foreign_trigger)[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ledger segment \"%s\" has BEFORE trigger \"%s\", which is not part of llm_audit",
						RelationGetRelationName(leaf),
						NameStr(seg->foreign_trigger)),
				 errhint("It could change or drop rows after they were chained: drop it.")));
	if (!OidIsValid(seg->lane_index) || !OidIsValid(seg->id_index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ledger segment \"%s\" lacks a valid unique index on (%s)",
						RelationGetRelationName(leaf),
						OidIsValid(seg->lane_index) ? "id" : "chain_lane, chain_seq"),
				 errhint("Rebuild it with REINDEX.")));
	return seg;
}

/* Refuses a value for a column that only the trigger sets. */
static void
RefuseSupplied(const Segment *seg, const bool *nulls, AttrNumber attnum,
			   const char *name)
{
	if (nulls[attnum - 1])
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("column \"%s\" of ledger \"%s\" is set by llm_audit and cannot be supplied",
					name, NameStr(seg->ledger_name)),
			 errhint("To restore rows of a dump verbatim, a superuser sets \"%s\".",
					 "llm_audit.restore")));
}

/* Refuses what a writer must not supply. */
static void
CheckSupplied(const Segment *seg, const Datum *values, const bool *nulls)
{
	const LedgerAttrs *attrs = &seg->attrs;

	RefuseSupplied(seg, nulls, attrs->recorded_by, "recorded_by");
	RefuseSupplied(seg, nulls, attrs->retain_until, "retain_until");
	RefuseSupplied(seg, nulls, attrs->chain_lane, "chain_lane");
	RefuseSupplied(seg, nulls, attrs->chain_seq, "chain_seq");
	RefuseSupplied(seg, nulls, attrs->prev_hash, "prev_hash");
	RefuseSupplied(seg, nulls, attrs->row_hash, "row_hash");
	RefuseSupplied(seg, nulls, attrs->salt, "salt");
	RefuseSupplied(seg, nulls, attrs->erased, "erased");

	if (nulls[attrs->recorded_at - 1] ||
		!LedgerTimeIssued(DatumGetTimestampTz(values[attrs->recorded_at - 1])))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("column \"%s\" of ledger \"%s\" is set by llm_audit and cannot be supplied",
						"recorded_at", NameStr(seg->ledger_name)),
				 errhint("Leave the column out; the time of the event itself belongs in a column of its own.")));
}

/* The session user's name, looked up once for each user. */
static Datum
SessionUserText(void)
{
	static Oid	cached_user = InvalidOid;
	static text *cached_name = NULL;
	static TransactionId cached_in = InvalidTransactionId;

	/* a role can be renamed: trust the name for one transaction */
	if (cached_user != GetSessionUserId() || cached_name == NULL ||
		cached_in != GetTopTransactionIdIfAny() ||
		cached_in == InvalidTransactionId)
	{
		char	   *name = GetUserNameFromId(GetSessionUserId(), false);

		if (cached_name != NULL)
			pfree(cached_name);
		cached_name = NULL;
		cached_name = (text *) MemoryContextAlloc(TopMemoryContext,
												  VARHDRSZ + strlen(name));
		SET_VARSIZE(cached_name, VARHDRSZ + strlen(name));
		memcpy(VARDATA(cached_name), name, strlen(name));
		cached_user = GetSessionUserId();
		cached_in = GetTopTransactionIdIfAny();
	}
	return PointerGetDatum(cached_name);
}

/* A bytea of the given bytes, in the current context. */
static Datum
MakeBytea(const void *bytes, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	return PointerGetDatum(result);
}

/* Fresh salts for the row's erasable columns; NULL if it has none. */
static void
StampSalt(const Segment *seg, Datum *values, bool *nulls)
{
	int			count = 0;
	bytea	   *salt;
	uint8	   *p;

	for (int i = 0; i < seg->ncolumns; i++)
	{
		if (seg->steps[i].erasable && !nulls[seg->steps[i].attnum - 1])
			count++;
	}
	if (count == 0)
		return;

	salt = palloc(VARHDRSZ + count * (2 + SALT_SIZE));
	SET_VARSIZE(salt, VARHDRSZ + count * (2 + SALT_SIZE));
	p = (uint8 *) VARDATA(salt);
	for (int i = 0; i < seg->ncolumns; i++)
	{
		const EncodeStep *step = &seg->steps[i];

		if (!step->erasable || nulls[step->attnum - 1])
			continue;
		p = PutU16(p, step->number);
		LedgerRandom(p, SALT_SIZE);
		p += SALT_SIZE;
	}
	values[seg->attrs.salt - 1] = PointerGetDatum(salt);
	nulls[seg->attrs.salt - 1] = false;
}

/* Sets what the trigger knows about the row, but for its place. */
static void
StampRow(const Segment *seg, Datum *values, bool *nulls)
{
	const LedgerAttrs *attrs = &seg->attrs;
	TimestampTz until;
	int			class;

	if (nulls[attrs->id - 1])
	{
		values[attrs->id - 1] = LedgerUuid();
		nulls[attrs->id - 1] = false;
	}
	values[attrs->recorded_by - 1] = SessionUserText();
	nulls[attrs->recorded_by - 1] = false;
	class = RetentionClassOf(seg, values, nulls);
	if (RetentionExpiry(seg, class,
						DatumGetTimestampTz(values[attrs->recorded_at - 1]),
						&until))
	{
		values[attrs->retain_until - 1] = TimestampTzGetDatum(until);
		nulls[attrs->retain_until - 1] = false;
	}
	if (attrs->known_values != InvalidAttrNumber)
		nulls[attrs->known_values - 1] = true;
	if (seg->nerasable > 0)
		StampSalt(seg, values, nulls);
}

/*
 * Refuses a row without a value that it must have, before PostgreSQL does so
 * in words that quote the row.
 */
static void
CheckRequired(Relation leaf, const Segment *seg, const bool *nulls)
{
	for (int i = 0; i < seg->nrequired; i++)
	{
		AttrNumber	attnum = seg->required[i];

		if (nulls[attnum - 1])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
							NameStr(TupleDescAttr(RelationGetDescr(leaf),
												  attnum - 1)->attname),
							RelationGetRelationName(leaf)),
					 errtablecol(leaf, attnum)));
	}
}

/* Hashes the row at pos; an error if its salt or erased is impossible. */
static void
HashRow(const Segment *seg, const RowPosition *pos, const Datum *values,
		const bool *nulls, uint8 *hash)
{
	const char *why;

	if (preimage.data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		EncodeBufferInit(&preimage);
		MemoryContextSwitchTo(old);
	}
	if (!RowPreimage(&preimage, seg, pos, values, nulls, &why))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("row of ledger \"%s\" cannot be hashed: %s",
						NameStr(seg->ledger_name), why)));
	if (!Sha256Digest(preimage.data, preimage.len, hash))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 hash")));
}

/* Gives the row its place in a lane. */
static void
ChainRow(Relation leaf, const Segment *seg, Datum *values, bool *nulls)
{
	const LedgerAttrs *attrs = &seg->attrs;
	RowPosition pos;
	uint8		hash[SHA256_SIZE];

	ChainNextPosition(leaf, seg, &pos);
	HashRow(seg, &pos, values, nulls, hash);
	values[attrs->chain_lane - 1] = Int32GetDatum((int32) pos.lane);
	values[attrs->chain_seq - 1] = Int64GetDatum((int64) pos.seq);
	values[attrs->prev_hash - 1] = MakeBytea(pos.prev_hash, SHA256_SIZE);
	values[attrs->row_hash - 1] = MakeBytea(hash, SHA256_SIZE);
	nulls[attrs->chain_lane - 1] = false;
	nulls[attrs->chain_seq - 1] = false;
	nulls[attrs->prev_hash - 1] = false;
	nulls[attrs->row_hash - 1] = false;
	ChainAdvance(seg, &pos, hash, values[attrs->id - 1]);
}

/* Copies a 32-byte hash out of a value; false if it is not one. */
static bool
HashFromDatum(Datum value, bool isnull, uint8 *out)
{
	bytea	   *hash;

	if (isnull)
		return false;
	hash = DatumGetByteaPP(value);
	if (VARSIZE_ANY_EXHDR(hash) != SHA256_SIZE)
		return false;
	memcpy(out, VARDATA_ANY(hash), SHA256_SIZE);
	return true;
}

/*
 * True if the row's own hash is that of its values, which may be compressed or
 * TOASTed, and its place; an error if its salt or erased is impossible.
 */
static bool
RowMatchesHash(const Segment *seg, const Datum *values, const bool *nulls)
{
	const LedgerAttrs *attrs = &seg->attrs;
	RowPosition pos;
	uint8		expected[SHA256_SIZE];
	uint8		hash[SHA256_SIZE];

	if (nulls[attrs->chain_lane - 1] || nulls[attrs->chain_seq - 1] ||
		!HashFromDatum(values[attrs->prev_hash - 1],
					   nulls[attrs->prev_hash - 1], pos.prev_hash) ||
		!HashFromDatum(values[attrs->row_hash - 1],
					   nulls[attrs->row_hash - 1], expected))
		return false;
	memcpy(pos.ledger_id, seg->ledger_id, LEDGER_ID_SIZE);
	pos.segment = seg->number;
	pos.lane = (uint32) DatumGetInt32(values[attrs->chain_lane - 1]);
	pos.seq = (uint64) DatumGetInt64(values[attrs->chain_seq - 1]);
	HashRow(seg, &pos, values, nulls, hash);
	return memcmp(hash, expected, SHA256_SIZE) == 0;
}

void
RowRequireHash(const Segment *seg, const Datum *values, const bool *nulls)
{
	const LedgerAttrs *attrs = &seg->attrs;

	if (RowMatchesHash(seg, values, nulls))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a row of ledger \"%s\" does not match its hash, so it stays",
					NameStr(seg->ledger_name)),
			 errdetail("Segment %u, lane %d, seq " INT64_FORMAT ".",
					   seg->number,
					   nulls[attrs->chain_lane - 1] ? -1 :
					   DatumGetInt32(values[attrs->chain_lane - 1]),
					   nulls[attrs->chain_seq - 1] ? (int64) -1 :
					   DatumGetInt64(values[attrs->chain_seq - 1])),
			 errhint("Somebody has altered it. Run llm_audit.verify() on the ledger.")));
}

/*
 * A row that comes from a dump or from a publisher keeps its place, if its
 * own hash is right; it is never chained anew.
 */
static void
CheckVerbatim(const Segment *seg, const Datum *values, const bool *nulls)
{
	const LedgerAttrs *attrs = &seg->attrs;
	uint8		hash[SHA256_SIZE];

	if (nulls[attrs->chain_lane - 1] || nulls[attrs->chain_seq - 1] ||
		!HashFromDatum(values[attrs->prev_hash - 1],
					   nulls[attrs->prev_hash - 1], hash) ||
		!HashFromDatum(values[attrs->row_hash - 1],
					   nulls[attrs->row_hash - 1], hash))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("restored row of ledger \"%s\" does not carry its chain columns",
						NameStr(seg->ledger_name)),
				 errhint("Reset \"%s\" to record new rows.",
						 "llm_audit.restore")));
	if (attrs->known_values != InvalidAttrNumber &&
		!nulls[attrs->known_values - 1])
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("restored row of ledger \"%s\" has a value in column \"%s\", which is never stored",
						NameStr(seg->ledger_name), "known_values")));
	if (!RowMatchesHash(seg, values, nulls))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("restored row of ledger \"%s\" does not match its hash",
						NameStr(seg->ledger_name)),
				 errdetail("Segment %u, lane %u, seq " UINT64_FORMAT ".",
						   seg->number,
						   (uint32) DatumGetInt32(values[attrs->chain_lane - 1]),
						   (uint64) DatumGetInt64(values[attrs->chain_seq - 1])),
				 errhint("The row was altered, or the ledger's id and segments are not those of the dump: restore the configuration tables of schema llm_audit first.")));
}

/*
 * True if the row comes from a dump or from a publisher.  What a subscriber's
 * own triggers record about replicated rows is new.
 */
static bool
RowIsCopied(void)
{
	return RestoreMode() ||
		(IsLogicalWorker() &&
		 DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) == 1);
}

/* A tuple of the row, in the current context. */
static HeapTuple
FormRow(Relation leaf, const Datum *values, const bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(leaf),
										unconstify(Datum *, values),
										unconstify(bool *, nulls));

	tuple->t_tableOid = RelationGetRelid(leaf);
	return tuple;
}

/*
 * Hands the new row to the executor.  The plain way is to return a new
 * tuple, which the executor copies and checks against the partition's bounds
 * again.  Both are for nothing here, the partition key being untouched, and
 * cost a tenth of a bulk insert; so the row is put into the slot that the
 * executor goes on with: as values if it is virtual, whose tuple was a copy
 * made for us, or as a tuple if it owns the one that we were given.  What is
 * returned then says no more than that the slot stands, and nobody looks at
 * it, since no other trigger follows.
 */
static HeapTuple
ReturnRow(TriggerData *trigdata, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = trigdata->tg_trigslot;
	Relation	leaf = trigdata->tg_relation;
	BufferHeapTupleTableSlot *owner = (BufferHeapTupleTableSlot *) slot;
	HeapTuple	old = trigdata->tg_trigtuple;

	if (TTS_IS_VIRTUAL(slot))
	{
		int			natts = RelationGetDescr(leaf)->natts;

		memcpy(slot->tts_values, values, natts * sizeof(Datum));
		memcpy(slot->tts_isnull, nulls, natts * sizeof(bool));
	}
	else if (TTS_IS_BUFFERTUPLE(slot) && TTS_SHOULDFREE(slot) &&
			 owner->base.tuple == old)
	{
		MemoryContext context = MemoryContextSwitchTo(slot->tts_mcxt);

		owner->base.tuple = FormRow(leaf, values, nulls);
		owner->base.off = 0;
		slot->tts_nvalid = 0;
		MemoryContextSwitchTo(context);
	}
	else
		return FormRow(leaf, values, nulls);

	heap_freetuple(old);
	return old;
}

/*
 * Saves the executor the check of a routed row against its partition's
 * bounds, which is there for triggers that change the key: ours must not,
 * whatever a field policy says, and has made sure that it has not.
 */
static void
KeepPartition(Relation leaf, const Segment *seg, const TupleTableSlot *slot,
			  const Datum *values, const bool *nulls)
{
	int			environment = seg->attrs.environment - 1;
	int			recorded_at = seg->attrs.recorded_at - 1;
	struct varlena *name;
	size_t		len = strlen(NameStr(seg->environment));

	if (len == 0)
		return;					/* it has no partitions */
	if (values[environment] != slot->tts_values[environment] ||
		nulls[environment])
	{
		name = nulls[environment] ? NULL :
			PG_DETOAST_DATUM_PACKED(values[environment]);
		if (name == NULL || VARSIZE_ANY_EXHDR(name) != len ||
			memcmp(VARDATA_ANY(name), NameStr(seg->environment), len) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("column \"%s\" of ledger \"%s\" must not be changed on write",
							"environment", NameStr(seg->ledger_name)),
					 errhint("Give it the field policy \"keep\".")));
	}
	if (values[recorded_at] == slot->tts_values[recorded_at] &&
		!nulls[recorded_at])
		StatementSkipsPartitionCheck(leaf);
}

/* Refuses calls that are not a row-level BEFORE INSERT trigger's. */
static TriggerData *
CheckTriggerCall(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE INSERT ROW trigger",
						"ledger_insert")));
	return trigdata;
}

/*
 * llm_audit.ledger_insert(): trigger
 *		Validates, masks, stamps and chains a new row of a ledger.  Errors:
 *		42501 for columns that only we set and for what is outside the
 *		writer's scope, 22023 for an unknown environment,
 *		23502 for a required column without a value, 55000 for a leaf that
 *		takes no rows, 53300 if all lanes are in use, and those of RowValidate
 *		and PolicyApply.
 */
Datum
llm_audit_ledger_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = CheckTriggerCall(fcinfo);
	Relation	leaf = trigdata->tg_relation;
	TupleTableSlot *slot = trigdata->tg_trigslot;
	const Segment *seg = SegmentForInsert(leaf);
	TupleDesc	desc = RelationGetDescr(leaf);
	Datum	   *values;
	bool	   *nulls;

	slot_getallattrs(slot);
	values = palloc(desc->natts * sizeof(Datum));
	nulls = palloc(desc->natts * sizeof(bool));
	memcpy(values, slot->tts_values, desc->natts * sizeof(Datum));
	memcpy(nulls, slot->tts_isnull, desc->natts * sizeof(bool));

	if (RowIsCopied())
	{
		CheckVerbatim(seg, values, nulls);
		ChainRowCopied();
		return PointerGetDatum(trigdata->tg_trigtuple);
	}
	if (seg->state != SEGMENT_OPEN)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ledger segment \"%s\" is closed",
						RelationGetRelationName(leaf))));

	CheckSupplied(seg, values, nulls);
	ScopeCheckWriter(seg, values, nulls);
	RowValidate(seg, values, nulls);
	PolicyApply(seg, values, nulls);
	StampRow(seg, values, nulls);
	CheckRequired(leaf, seg, nulls);
	KeepPartition(leaf, seg, slot, values, nulls);
	StatementPreparesChecks(leaf);
	ChainRow(leaf, seg, values, nulls);
	return PointerGetDatum(ReturnRow(trigdata, values, nulls));
}
