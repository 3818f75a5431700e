/*
 * guard.h
 *	  Shared by the parts of the append-only guard; nobody else includes it.
 *
 * guard.c			what is guarded, cached; installs the hooks
 * guard_trigger.c	triggers: every change of rows, preloaded or not
 * guard_executor.c executor hooks: refuses early; which statements run
 * guard_utility.c	ProcessUtility hook: commands, frames
 * guard_alter.c	which subcommands of ALTER TABLE are allowed
 * guard_copy.c		no copies of erasable columns
 * guard_object.c	object access hook: whatever way an object is changed
 * constraint.c		planned CHECK constraints
 * permit.c			the doors
 * refusal.c		the error, and its record in admin_event
 */
#ifndef LLM_AUDIT_GUARD_H
#define LLM_AUDIT_GUARD_H

#include "postgres.h"

#include "catalog/objectaccess.h"
#include "ledger/ledger.h"
#include "nodes/nodes.h"
#include "nodes/parsenodes.h"

/* ---------------- refusal.c ---------------- */

typedef enum GuardAction
{
	GUARD_UPDATE = 0,
	GUARD_DELETE,
	GUARD_TRUNCATE,
	GUARD_MERGE,
	GUARD_UPSERT,
	GUARD_DROP,
	GUARD_DROP_PART,
	GUARD_ALTER,
	GUARD_RULE,
	GUARD_TRIGGER,
	GUARD_UNIQUE,
	GUARD_REPLACE,
	GUARD_COPY,
	GUARD_RUN
} GuardAction;

/* Refuses an action on an object that is not a relation. */
extern void RefuseObject(GuardAction action, const char *object_type,
						 const char *name) pg_attribute_noreturn();

/* Refuses an action on a ledger, a part of one, or a configuration table. */
extern void RefuseRelation(GuardAction action, Oid relid,
						   const char *detail) pg_attribute_noreturn();

/* ---------------- guard.c ---------------- */

/*
 * True if there is anything to guard: in a transaction, the extension is
 * installed, and this is neither pg_upgrade nor its own script.
 */
extern bool GuardInForce(void);

/*
 * The kind of a relation: none unless its guard trigger stands, committed.
 * Indexes have the kind LEDGER_REL_INDEX, those of configuration tables
 * LEDGER_REL_CONFIG.  Never raises; cached.
 */
extern LedgerRelationKind GuardKind(Oid relid);

/* True for a ledger or a part of it, that is, not for configuration. */
extern bool GuardIsLedger(Oid relid);

/* The table of an index; any other relation itself. */
extern Oid	GuardTable(Oid relid);

/* The root of the partition tree that the relation's table is in. */
extern Oid	GuardRoot(Oid relid);

/* True if a ledger is registered. */
extern bool GuardHasLedgers(void);

/* True if the object belongs to the extension. */
extern bool GuardOwnObject(Oid class_id, Oid object_id);

/*
 * A copy of the row of a catalog; NULL if it is not there.  With when =
 * GUARD_NOW as the running command has left it, with GUARD_BEFORE as it was
 * before that.
 */
typedef enum GuardWhen
{
	GUARD_NOW,
	GUARD_BEFORE
} GuardWhen;

extern HeapTuple GuardCatalogRow(Oid catalog, Oid index, AttrNumber key,
								 Oid value, GuardWhen when);

/* ---------------- guard_executor.c ---------------- */

/* How many statements with a frame are running inside each other. */
extern int	GuardDepth(void);

/* A running statement; lives on the C stack of the hook. */
typedef struct GuardFrame
{
	struct GuardFrame *outer;
	int			depth;
	bool		stores_every_row;
	bool		on_ledger;		/* what it says when it fails is looked at */
	MemoryContext context;		/* in which it was entered */
	struct EState *estate;		/* NULL for a utility statement */
	bool		is_utility;
	NodeTag		tag;			/* of a utility statement */
	bool		vetted;			/* to be looked at again when it is done */
	Oid			altered;		/* its table */
	Oid			approved_root;	/* ledger that it may alter */
	bool		approved_all;	/* any ledger, in a way that is harmless */
} GuardFrame;

extern void GuardPush(GuardFrame *frame);
extern void GuardPop(GuardFrame *frame);

/*
 * GuardThrowOn: in PG_CATCH, throws the error on; if it is about a ledger,
 * without values that stand there or should have come to stand there.  The
 * context is the one to be in.  GuardFail does so for a frame, and pops it.
 */
extern void GuardThrowOn(bool on_ledger,
						 MemoryContext context) pg_attribute_noreturn();
extern void GuardFail(GuardFrame *frame) pg_attribute_noreturn();

/* The innermost utility statement, or NULL. */
extern const GuardFrame *GuardUtilityFrame(void);

extern void GuardExecutorInit(void);
extern void GuardPlannerInit(void);

/* ---------------- constraint.c ---------------- */

/*
 * Gives the executor the CHECK constraints of a leaf that it inserts into,
 * compiled as it would compile them for this statement.
 */
struct EState;
struct ResultRelInfo;
extern void ConstraintsPrepare(struct ResultRelInfo *info,
							   struct EState *estate);

extern void ConstraintInit(void);

/* ---------------- guard_utility.c, guard_alter.c, guard_object.c -------- */

extern void GuardUtilityInit(void);
extern void GuardObjectInit(void);

/*
 * Raises unless every subcommand is allowed on this ledger, ledger index or
 * configuration table.
 */
extern void GuardCheckAlter(Oid relid, AlterTableStmt *stmt);

/* True for the keys of the two indexes that every segment has. */
extern bool GuardKeyIsOurs(Oid table, const AttrNumber *attnums, int n);

/*
 * True if an index on these columns can never refuse a row that our own
 * indexes accept: it has id, or lane and seq, among its keys.
 */
extern bool GuardKeyIsImplied(Oid table, const AttrNumber *attnums, int n);

/* ---------------- guard_copy.c ---------------- */

/*
 * Raise if an index (its pg_index row), an object of CREATE STATISTICS or ALTER
 * COLUMN SET STATISTICS would copy values of an erasable column, or run
 * functions of others on rows.
 */
extern void GuardCheckIndexCopies(Oid table, HeapTuple index);
extern void GuardCheckStatisticsObject(Oid object);
extern void GuardCheckStatisticsTarget(Oid table, const AlterTableCmd *cmd);

/* The trigger calls one of our functions, however it is defined. */
extern bool GuardTriggerCallsUs(Oid function);

/* The name is one that our triggers have. */
extern bool GuardTriggerNameIsOurs(const char *name);

#endif
