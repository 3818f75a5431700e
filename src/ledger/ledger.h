/*
 * ledger.h
 *	  What the ledger room offers to the other rooms.
 *
 * A ledger is a table (or a partition tree) whose rows can only be added,
 * each linked to the one before it in its lane by SHA-256.  A segment is a
 * leaf of that tree: it has chains and a life of its own.
 */
#ifndef LLM_AUDIT_LEDGER_H
#define LLM_AUDIT_LEDGER_H

#include "postgres.h"

#include "access/attnum.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "compat.h"
#include "core/rowenc.h"
#include "datatype/timestamp.h"
#include "llm_audit.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

#define LLM_AUDIT_SCHEMA "llm_audit"

/* ---------------- registry.c: what is a ledger, cached ---------------- */

/* How a column's value becomes bytes; encode.c has one function for each. */
typedef enum EncodeKind
{
	ENCODE_NONE = 0,			/* not hashed */
	ENCODE_TEXT,				/* text, varchar, bpchar, json */
	ENCODE_JSONB,
	ENCODE_BOOL,
	ENCODE_INT2,
	ENCODE_INT4,
	ENCODE_INT8,
	ENCODE_NUMERIC,
	ENCODE_FLOAT4,
	ENCODE_FLOAT8,
	ENCODE_UUID,
	ENCODE_BYTEA,
	ENCODE_DATE,
	ENCODE_TIME,				/* time, timestamp, timestamptz: int64 */
	ENCODE_INTERVAL,
	ENCODE_INET,				/* inet, cidr */
	ENCODE_ARRAY
} EncodeKind;

typedef struct LedgerColumn
{
	NameData	name;
	AttrNumber	attnum;			/* in the segment's own tuple descriptor */
	uint16		number;			/* registry number, never reused */
	Oid			type;			/* built-in base type: enters the preimage */
	EncodeKind	kind;
	Oid			element_type;	/* for arrays */
	EncodeKind	element_kind;
	int16		element_len;
	bool		element_byval;
	char		element_align;
	bool		erasable;		/* for rows inserted from now on */
} LedgerColumn;

/*
 * What encoding a row needs of a column, for every column of the segment: kept
 * small, because a session that writes a row now and then finds little of it
 * in the processor's caches.
 */
typedef struct EncodeStep
{
	AttrNumber	attnum;			/* InvalidAttrNumber: nothing to hash */
	uint16		number;
	uint8		kind;			/* EncodeKind */
	bool		erasable;
	uint8		entry_head[ENTRY_HEADER_SIZE];	/* of a plain entry; the
												 * length is filled in */
} EncodeStep;

/* Checks that built-in ledgers need beyond their constraints. */
typedef enum LedgerRole
{
	ROLE_PLAIN = 0,				/* an enrolled table, or no special rule */
	ROLE_LLM_CALL,
	ROLE_LLM_CONTENT,
	ROLE_ADMIN_EVENT,
	ROLE_SEGMENT_EVENT,
	ROLE_ACCESS_LOG,			/* access_log and access_record */
	ROLE_PURGE_RECEIPT,
	ROLE_ERASE_RECEIPT
} LedgerRole;

typedef enum SegmentState
{
	SEGMENT_OPEN = 'o',
	SEGMENT_CLOSED = 'c',
	SEGMENT_PURGED = 'p'
} SegmentState;

/* Columns of built-in ledgers that the trigger knows by name. */
typedef enum RoleAttr
{
	ROLE_ATTR_MASKING_STATUS = 0,
	ROLE_ATTR_MASKING_VERSION,
	ROLE_ATTR_PII_FOUND,
	ROLE_ATTR_PII_COUNTS,
	ROLE_ATTR_PII_FIELDS,
	ROLE_ATTR_ACTION,
	ROLE_ATTR_CATEGORY,
	ROLE_ATTR_HIGH_RISK,
	ROLE_ATTR_REASON,
	ROLE_ATTR_STAGE,
	ROLE_ATTR_COUNT
} RoleAttr;

/* attnums of the ledger columns in one segment */
typedef struct LedgerAttrs
{
	AttrNumber	id;
	AttrNumber	recorded_at;
	AttrNumber	recorded_by;
	AttrNumber	retain_until;
	AttrNumber	chain_lane;
	AttrNumber	chain_seq;
	AttrNumber	prev_hash;
	AttrNumber	row_hash;
	AttrNumber	salt;
	AttrNumber	erased;
	AttrNumber	known_values;	/* InvalidAttrNumber if it has none */
	AttrNumber	environment;	/* likewise; partitioned ledgers have it */
	AttrNumber	organization_id;	/* likewise */
	AttrNumber	data_class;		/* likewise, if it is text */
} LedgerAttrs;

/*
 * A segment and all that is needed to chain into it or to verify it.  It
 * lives until the end of the transaction at least, even if an invalidation
 * arrives meanwhile; do not keep a pointer longer than that.
 */
typedef struct Segment
{
	Oid			relid;			/* the leaf */
	Oid			root;			/* the ledger's root (the leaf itself if
								 * plain) */
	NameData	ledger_schema;
	NameData	ledger_name;
	uint8		ledger_id[LEDGER_ID_SIZE];
	LedgerRole	role;
	bool		builtin;		/* made by setup() */
	uint32		number;
	SegmentState state;
	bool		is_default;		/* holds what no other segment covers */
	TimestampTz lower;			/* DT_NOBEGIN / DT_NOEND when unbounded */
	TimestampTz upper;
	NameData	environment;	/* empty for an unpartitioned ledger */
	struct RetentionRule *retention;	/* RETENTION_CLASSES of them */
	Oid			id_index;		/* unique (id) */
	Oid			lane_index;		/* unique (chain_lane, chain_seq) */
	LedgerAttrs attrs;
	AttrNumber	role_attrs[ROLE_ATTR_COUNT];	/* Invalid where absent */
	int			natts;			/* of the leaf, dropped ones included */

	/*
	 * A column that stands in the table but not in the registry, or the other
	 * way round, or with another type; empty if all agree.  Rows cannot be
	 * chained while it is set.
	 */
	NameData	mismatch;

	/* A BEFORE INSERT row trigger that is not ours; empty if there is none. */
	NameData	foreign_trigger;
	int			ncolumns;		/* hashed columns, by ascending number */
	LedgerColumn *columns;
	EncodeStep *steps;			/* one for each of the columns */
	int			nerasable;		/* columns with erasable set */
	int			nrequired;		/* NOT NULL columns that a writer supplies */
	AttrNumber *required;
} Segment;

/*
 * SegmentLookup: the segment whose leaf is relid, or NULL if relid is not a
 * registered leaf.  Reads the configuration as it is committed now (own
 * changes included), whatever the transaction's snapshot.
 */
extern const Segment *SegmentLookup(Oid relid);

/* What kind of ledger object a relation is; for the guard. */
typedef enum LedgerRelationKind
{
	LEDGER_REL_NONE = 0,
	LEDGER_REL_ROOT,			/* a ledger itself, plain or partitioned */
	LEDGER_REL_BRANCH,			/* an environment's partition */
	LEDGER_REL_LEAF,			/* a registered segment below a root */
	LEDGER_REL_INDEX,			/* an index of one of these */
	LEDGER_REL_CONFIG			/* one of our configuration tables */
} LedgerRelationKind;

/*
 * LedgerRelationClassify: answers without raising for any relid, also when
 * the extension is not installed in this database.
 */
extern LedgerRelationKind LedgerRelationClassify(Oid relid);

/*
 * LedgerColumnIsErasable: whether new rows of the ledger with this root can
 * have the column erased.  False if the root or the column is unknown.
 */
extern bool LedgerColumnIsErasable(Oid root, const char *column);

/* True if the extension exists in this database (and is not being created). */
extern bool ExtensionInstalled(void);

/* OID of configuration table name in our schema, or InvalidOid. */
extern Oid	ConfigTableOid(const char *name);

/*
 * ConfigScan: calls visit(tuple, desc, arg) for each row of a configuration
 * table that is visible now and passes the keys (by heap attribute number,
 * equality; nkeys may be 0).  index may be InvalidOid.  Works for any user:
 * it checks no privileges, so never pass its rows to a client.
 */
typedef void (*ConfigVisitor) (HeapTuple tuple, TupleDesc desc, void *arg);
struct ScanKeyData;
extern void ConfigScan(const char *table, struct ScanKeyData *keys, int nkeys,
					   ConfigVisitor visit, void *arg);

/* End of the newest closed segment of any ledger, or DT_NOBEGIN. */
extern TimestampTz NewestClosedEnd(void);

/* The registered action: false if action_type does not have it. */
extern bool ActionTypeLookup(const char *action, size_t len,
							 char **category, bool *high_risk);

/*
 * Changes whenever a configuration table may have changed, so that other
 * caches of configuration know when to read again.
 */
extern uint64 ConfigGeneration(void);

extern void RegistryInit(void);

/* ---------------- time.c: the ledger clock ---------------- */

/*
 * True if llm_audit.now() issued a value in this transaction that allows
 * recorded_at to be this one: within what it issued and 10 minutes of now.
 */
extern bool LedgerTimeIssued(TimestampTz recorded_at);

/* Forgets what was issued; at the end of a transaction. */
extern void LedgerTimeReset(void);

/* A new version 7 UUID, palloc'd. */
extern Datum LedgerUuid(void);

/* Cryptographically strong random bytes, or an error. */
extern void LedgerRandom(uint8 *out, size_t len);

/* ---------------- encode.c: values and preimages ---------------- */

/* How a type is encoded; ENCODE_NONE if it is not supported. */
extern EncodeKind EncodeKindOf(Oid type);

/*
 * A growing buffer for preimages, kept across rows.  EncodeBuffer.data is in
 * the memory context that was current at EncodeBufferInit.
 */
typedef struct EncodeBuffer
{
	uint8	   *data;
	size_t		len;
	size_t		size;
} EncodeBuffer;

extern void EncodeBufferInit(EncodeBuffer *buf);

/*
 * RowPreimage: leaves the preimage of a row in buf.  values and nulls are
 * the row's, by the segment's attribute numbers.  The salt and erased
 * columns say which columns are erasable in this row and what commitments
 * erased ones have.  Returns false, with *why set to a static text, if salt
 * or erased cannot belong to the row (wrong length, unknown number, salt
 * for a NULL column, ...), in which case the row cannot verify.
 */
extern bool RowPreimage(EncodeBuffer *buf, const Segment *seg,
						const RowPosition *pos, const Datum *values,
						const bool *nulls, const char **why);

/* RowRequireHash: an error that names a row which does not match its hash. */
extern void RowRequireHash(const Segment *seg, const Datum *values,
						   const bool *nulls);

/* salt and erased of a row, NULL where it has none. */
typedef struct ErasedGroups
{
	bytea	   *salt;
	bytea	   *erased;
} ErasedGroups;

/*
 * RowErase: what salt and erased become when the attributes in emptied lose
 * their values; values and nulls are the row's before that.  False if one of
 * them has no salt, so that its value is hashed as it stands.
 */
extern bool RowErase(const Segment *seg, const Datum *values,
					 const bool *nulls, const bool *emptied,
					 ErasedGroups *out);

/* True if a salt column has a group for the column of this number. */
extern bool SaltHasColumn(Datum salt, uint16 number);

/* ---------------- chain.c: lanes ---------------- */

/*
 * ChainNextPosition: takes (or keeps) a lane of the segment for this
 * transaction and fills pos with the next position of it.
 */
extern void ChainNextPosition(Relation leaf, const Segment *seg,
							  RowPosition *pos);

/* ChainAdvance: the row at pos has this hash and id; it is now pending. */
extern void ChainAdvance(const Segment *seg, const RowPosition *pos,
						 const uint8_t *row_hash, Datum id);

/*
 * While a collector is set, it is told of every row that ON CONFLICT DO
 * NOTHING dropped, as soon as that is known (at the lane's next row, at
 * ChainResolvePending, or at commit).  Returns the collector it replaces.
 */
typedef void (*ChainDropCollector) (Oid leaf, Datum id, void *arg);
typedef struct ChainCollector
{
	ChainDropCollector dropped;
	void	   *arg;
} ChainCollector;
extern ChainCollector ChainSetCollector(ChainCollector collector);

/* Resolves what is pending in every lane that this transaction holds. */
extern void ChainResolvePending(void);

/*
 * A row that comes with its place is about to be stored, without its lane
 * being taken.
 */
extern void ChainRowCopied(void);

/*
 * ChainLockLane: takes a lane of the leaf for this transaction, as a writer
 * does; false if somebody holds it.  ChainLaneEnd: the seq of its last row,
 * 0 if it has none; the lane must be locked.
 */
extern bool ChainLockLane(Oid leaf, uint32 lane);
extern uint64 ChainLaneEnd(Relation leaf, const Segment *seg, uint32 lane);

extern void ChainInit(void);

/* ---------------- lane_turn.c: who took a lane last ---------------- */

/*
 * LaneTurnTake: counts that a lane has been taken, by its lock's holder.
 * Returns the number of the turn: one more than the last turn's, if nobody has
 * taken the lane and no row was copied since.  0 if turns are not counted.
 * LaneTurnCopied: rows have come into some lane that nobody took.
 */
extern uint64 LaneTurnTake(Oid leaf, uint32 lane);
extern void LaneTurnCopied(void);

extern void LaneTurnInit(void);

/* ---------------- permit.c: the doors ---------------- */

/*
 * What our own C functions may do to ledgers while they run.  A permit is
 * backend-local, belongs to one operation and is withdrawn on error; no
 * setting can grant one.
 */
typedef enum PermitKind
{
	PERMIT_NONE = 0,
	PERMIT_DDL,					/* make, attach, close or drop segments */
	PERMIT_DROP,				/* drop_ledger, uninstall */
	PERMIT_PURGE,				/* remove rows; each is rechecked.  In a
								 * segment that never closes it must spare the
								 * lanes whose first row stays, since the end
								 * of a lane is sought by that row, and every
								 * lane's last row; see purge.c */
	PERMIT_ERASE,				/* empty erasable columns; rechecked */
	PERMIT_SEGMENT_EVENT		/* append to segment_event */
} PermitKind;

extern PermitKind PermitCurrent(void);

/*
 * PermitRun: executes SQL by SPI (which the caller has connected) with a
 * permit of this kind, whatever happens taking it away again.
 */
extern int	PermitRun(PermitKind kind, const char *sql);

/* ---------------- superuser.c ---------------- */

/* Who we were before we became the superuser. */
typedef struct FormerUser
{
	Oid			user;
	int			security;
	int			nest;			/* of settings */
} FormerUser;

/*
 * BecomeSuperuser: goes on as the bootstrap superuser, with a fixed
 * search_path and as a security restricted operation; for queries that are
 * constants of ours.  Settings that are saved until then are restored by
 * BecomeFormer, or, after an error, with all of this at the end of the
 * (sub)transaction.
 */
extern void BecomeSuperuser(FormerUser *former);
extern void BecomeFormer(const FormerUser *former);

/* ---------------- segment.c: DDL ---------------- */

/*
 * SegmentTry: one attempt to run SQL with a permit, by SPI, in a
 * subtransaction that waits llm_audit.ddl_lock_timeout for a lock; false if
 * it could not be had.
 */
extern bool SegmentTry(PermitKind kind, const char *sql);

/* ---------------- baseline.c: what verify compares with ---------------- */

/*
 * DefinitionOf: what decides which rows a ledger takes and shows, palloc'd, to
 * be given to DefinitionChanged after a command that is recorded: that appends
 * to segment_event what the command has changed of it.
 */
extern char *DefinitionOf(Oid root);
extern void DefinitionChanged(Oid root, const char *before);

/* ---------------- readers.c: verify and purge ---------------- */

/*
 * ReadersLock: verify takes it shared while it runs, a purge exclusively
 * until its transaction ends, since what is truncated is gone for older
 * snapshots too.  False if it was not to be waited for and is taken.
 */
extern bool ReadersLock(LOCKMODE mode, bool wait);
extern void ReadersUnlock(LOCKMODE mode);

/* ---------------- guard.c: append-only, hooks ---------------- */

extern void GuardInit(void);

/*
 * True in the process that writes the access log: rows of access_log and
 * access_record are accepted from no other.
 */
extern bool LedgerMayWriteAccessLog;

/*
 * True in a process that is one of our background workers: what its own
 * queries read never leaves it, so it is not recorded.
 */
extern bool LedgerIsOwnWorker;

/*
 * The role with whose rights a row is written: the current user, but in a
 * COPY that runs as llm_audit_copier the writer who asked for it, as
 * LedgerSetCopyWriter() has been told; that returns whom it replaces.
 */
extern Oid	LedgerWriter(void);
extern Oid	LedgerSetCopyWriter(Oid writer);

/*
 * Called, if it is set, before a function of this room returns the data of a
 * row: root is its ledger, command what the access log calls it.
 */
extern void (*ledger_read_hook) (Oid root, const char *command);

/*
 * True if the innermost running statement is known to have no ON CONFLICT
 * clause, so that every row it chains is stored or the statement fails.
 */
extern bool StatementStoresEveryRow(void);

/*
 * Saves the innermost running statement the check of the rows that it routes
 * to this leaf against the leaf's bounds.  For a trigger that has made sure
 * that it leaves the partition key alone.
 */
extern void StatementSkipsPartitionCheck(Relation leaf);

/*
 * Saves the innermost running statement the planning of the leaf's CHECK
 * constraints, which it is about to check.
 */
extern void StatementPreparesChecks(Relation leaf);

#endif
