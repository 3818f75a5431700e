/*
 * archive.c
 *	  Archives: a segment in one file that says by itself what it holds.
 *
 * docs/archive-format.md describes the format.  The rows are COPY's binary
 * format, in the order of their chains, so that the server's own COPY reads
 * them back and a program without a server can rehash them.  The manifest
 * follows, then its place and the SHA-256 of all that stands before that.
 *
 * A file is written under another name, flushed, read again and only then
 * renamed: what has the name of an archive is whole.  Every row is hashed
 * while it is written, each lane's links are checked, and that no row is
 * missing is told by their number; a segment that does not verify is not
 * archived.
 *
 * The file of a transaction that is rolled back is removed with it: nobody
 * would know of it, and erasures would pass it over.  What a crash leaves is
 * found by its name (unknown_archives(), discard_unfinished_archives()).
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "commands/copy.h"
#include "core/sha256.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "port/pg_bswap.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include <openssl/evp.h>

PG_FUNCTION_INFO_V1(llm_audit_archive_write);
PG_FUNCTION_INFO_V1(llm_audit_archive_discard);
PG_FUNCTION_INFO_V1(llm_audit_archive_manifest);
PG_FUNCTION_INFO_V1(llm_audit_archive_rows);

#define ARCHIVE_MAGIC		"LLMAUDIT-ARCHIVE-1\n"
#define ARCHIVE_MAGIC_SIZE	19
#define ARCHIVE_END			"LAARCEND"
#define ARCHIVE_END_SIZE	8
#define FOOTER_SIZE			(8 + 8 + SHA256_SIZE + ARCHIVE_END_SIZE)
#define COPY_MAGIC			"PGCOPY\n\377\r\n\0"
#define COPY_MAGIC_SIZE		11
#define FETCH_ROWS			1000
#define WRITE_SIZE			(256 * 1024)
#define MANIFEST_LIMIT		(64 * 1024 * 1024)

/* How a column is sent: as its send function would, or by that function. */
typedef enum SendAs
{
	SEND_BY_CALL,
	SEND_BYTES,					/* of a varlena, as they are */
	SEND_BOOL,
	SEND_INT32,
	SEND_INT64,
	SEND_UUID
} SendAs;

typedef struct SendColumn
{
	SendAs		as;
	FmgrInfo	function;
} SendColumn;

/* An archive that is being written. */
typedef struct ArchiveWriter
{
	FILE	   *file;
	const char *path;			/* under which it is written */
	EVP_MD_CTX *digest;			/* of all that was written */
	StringInfoData buf;
	uint64		written;
	SendColumn *send;			/* by attribute */
	const Segment *seg;
	EncodeBuffer preimage;
	bool		started;		/* a row came before */
	int32		lane;
	int64		seq;
	uint8		hash[SHA256_SIZE];
	uint64		rows;
} ArchiveWriter;

/* Where a file's parts are, as its footer says. */
typedef struct ArchiveFile
{
	FILE	   *file;
	const char *path;
	uint64		size;
	uint64		manifest_at;
	uint64		manifest_size;
	uint8		digest[SHA256_SIZE];
} ArchiveFile;

/* A file that this transaction has written, in TopTransactionContext. */
typedef struct NewFile
{
	struct NewFile *next;
	SubTransactionId subid;		/* that wrote it, or what this became */
	char		path[FLEXIBLE_ARRAY_MEMBER];
} NewFile;

static NewFile *new_files = NULL;

static void
RequireSuperuser(const char *function)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function)));
}

/* ---------------- writing ---------------- */

/* Hashes and writes what the buffer holds. */
static void
WriterFlush(ArchiveWriter *w)
{
	if (EVP_DigestUpdate(w->digest, w->buf.data, w->buf.len) != 1)
		elog(ERROR, "could not compute SHA-256");
	if (fwrite(w->buf.data, 1, w->buf.len, w->file) != (size_t) w->buf.len)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", w->path)));
	w->written += w->buf.len;
	resetStringInfo(&w->buf);
}

static void
PutInt16(StringInfo buf, int16 v)
{
	uint16		n = pg_hton16((uint16) v);

	appendBinaryStringInfo(buf, (char *) &n, sizeof(n));
}

static void
PutInt32(StringInfo buf, int32 v)
{
	uint32		n = pg_hton32((uint32) v);

	appendBinaryStringInfo(buf, (char *) &n, sizeof(n));
}

static void
PutInt64(StringInfo buf, uint64 v)
{
	uint64		n = pg_hton64(v);

	appendBinaryStringInfo(buf, (char *) &n, sizeof(n));
}

/* The row's hash must be what it says, and its link the row before it. */
static void
CheckRowHash(ArchiveWriter *w, const Datum *values, const bool *nulls)
{
	const LedgerAttrs *attrs = &w->seg->attrs;
	struct varlena *prev = PG_DETOAST_DATUM_PACKED(values[attrs->prev_hash - 1]);
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(values[attrs->row_hash - 1]);
	int32		lane = DatumGetInt32(values[attrs->chain_lane - 1]);
	int64		seq = DatumGetInt64(values[attrs->chain_seq - 1]);
	RowPosition pos;
	uint8		expected[SHA256_SIZE];
	uint8		hash[SHA256_SIZE];
	const char *why;
	bool		linked = true;

	if (VARSIZE_ANY_EXHDR(prev) == SHA256_SIZE &&
		VARSIZE_ANY_EXHDR(stored) == SHA256_SIZE)
	{
		memcpy(pos.ledger_id, w->seg->ledger_id, LEDGER_ID_SIZE);
		pos.segment = w->seg->number;
		pos.lane = (uint32) lane;
		pos.seq = (uint64) seq;
		memcpy(pos.prev_hash, VARDATA_ANY(prev), SHA256_SIZE);
		if (w->started && w->lane == lane && w->seq == seq - 1)
			linked = memcmp(w->hash, pos.prev_hash, SHA256_SIZE) == 0;
		else if (seq == 1)
			linked = GenesisHash(pos.ledger_id, pos.segment, pos.lane,
								 expected) &&
				memcmp(expected, pos.prev_hash, SHA256_SIZE) == 0;
		if (linked &&
			RowPreimage(&w->preimage, w->seg, &pos, values, nulls, &why) &&
			Sha256Digest(w->preimage.data, w->preimage.len, hash) &&
			memcmp(hash, VARDATA_ANY(stored), SHA256_SIZE) == 0)
		{
			w->started = true;
			w->lane = lane;
			w->seq = seq;
			memcpy(w->hash, hash, SHA256_SIZE);
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("segment \"%s\" does not verify and is not archived",
					get_rel_name(w->seg->relid)),
			 errdetail("The row at lane %d, seq " INT64_FORMAT " does not match its hash or the row before it.",
					   lane, seq),
			 errhint("Run llm_audit.verify().")));
}

/* Appends a field: its length and its bytes. */
static void
PutField(StringInfo buf, const void *bytes, int32 length)
{
	PutInt32(buf, length);
	appendBinaryStringInfo(buf, bytes, length);
}

/* Appends a value that is not NULL as COPY does in binary format. */
static void
PutValue(StringInfo buf, SendColumn *column, Datum value)
{
	struct varlena *bytes;

	switch (column->as)
	{
		case SEND_BYTES:
			bytes = PG_DETOAST_DATUM_PACKED(value);
			PutField(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
		case SEND_BOOL:
			PutInt32(buf, 1);
			appendStringInfoCharMacro(buf, DatumGetBool(value) ? 1 : 0);
			break;
		case SEND_INT32:
			PutInt32(buf, sizeof(int32));
			PutInt32(buf, DatumGetInt32(value));
			break;
		case SEND_INT64:
			PutInt32(buf, sizeof(int64));
			PutInt64(buf, (uint64) DatumGetInt64(value));
			break;
		case SEND_UUID:
			PutField(buf, DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case SEND_BY_CALL:
			bytes = (struct varlena *) SendFunctionCall(&column->function, value);
			PutField(buf, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
			break;
	}
}

/* Appends a row as COPY does in binary format. */
static void
PutRow(ArchiveWriter *w, TupleDesc desc, const Datum *values,
	   const bool *nulls)
{
	PutInt16(&w->buf, (int16) desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		if (nulls[i])
			PutInt32(&w->buf, -1);
		else
			PutValue(&w->buf, &w->send[i], values[i]);
	}
}

/*
 * What a send function does, where that is known.  Databases with ledgers are
 * in UTF8, as the archive is, so that text goes as it is.
 */
static SendAs
SendAsOf(Oid function)
{
	switch (function)
	{
		case F_TEXTSEND:
		case F_VARCHARSEND:
		case F_BYTEASEND:
			return SEND_BYTES;
		case F_BOOLSEND:
			return SEND_BOOL;
		case F_INT4SEND:
			return SEND_INT32;
		case F_INT8SEND:
		case F_TIMESTAMPTZ_SEND:
			return SEND_INT64;
		case F_UUID_SEND:
			return SEND_UUID;
		default:
			return SEND_BY_CALL;
	}
}

/* The send function of each column of the result. */
static void
FindSendFunctions(ArchiveWriter *w, TupleDesc desc)
{
	w->send = palloc(sizeof(SendColumn) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Oid			function;
		bool		is_varlena;

		getTypeBinaryOutputInfo(TupleDescAttr(desc, i)->atttypid, &function,
								&is_varlena);
		w->send[i].as = SendAsOf(function);
		fmgr_info(function, &w->send[i].function);
	}
}

/*
 * Makes the values' attribute numbers those of the table: dropped columns
 * are not in the result of SELECT *.
 */
static void
SpreadValues(TupleDesc full, const Datum *values, const bool *nulls,
			 Datum *full_values, bool *full_nulls)
{
	int			from = 0;

	for (int i = 0; i < full->natts; i++)
	{
		bool		dropped = TupleDescAttr(full, i)->attisdropped;

		full_values[i] = dropped ? (Datum) 0 : values[from];
		full_nulls[i] = dropped || nulls[from];
		from += dropped ? 0 : 1;
	}
}

/* Writes one batch of rows. */
static void
WriteBatch(ArchiveWriter *w, Relation leaf, MemoryContext context)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	Datum	   *full = palloc(sizeof(Datum) * RelationGetDescr(leaf)->natts);
	bool	   *full_nulls = palloc(sizeof(bool) * RelationGetDescr(leaf)->natts);

	if (w->send == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(w->buf.data));

		FindSendFunctions(w, desc);
		MemoryContextSwitchTo(old);
	}
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		MemoryContext old = MemoryContextSwitchTo(context);

		heap_deform_tuple(tuple, desc, values, nulls);
		SpreadValues(RelationGetDescr(leaf), values, nulls, full, full_nulls);
		CheckRowHash(w, full, full_nulls);
		PutRow(w, desc, values, nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		w->rows++;
		if (w->buf.len > WRITE_SIZE)
			WriterFlush(w);
	}
}

/*
 * The query for all rows of the leaf.  Generated columns can have types that
 * are not built in, which no other database knows: they are sent as text.
 */
static char *
MakeRowQuery(Relation leaf)
{
	TupleDesc	desc = RelationGetDescr(leaf);
	StringInfoData sql;
	const char *separator = "SELECT ";

	initStringInfo(&sql);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		appendStringInfo(&sql, "%s%s%s", separator,
						 quote_identifier(NameStr(att->attname)),
						 getBaseType(att->atttypid) < FirstGenbkiObjectId ? "" :
						 "::pg_catalog.text");
		separator = ", ";
	}
	appendStringInfo(&sql, " FROM ONLY %s ORDER BY chain_lane, chain_seq",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(leaf)),
												RelationGetRelationName(leaf)));
	return sql.data;
}

/* Writes all rows of the leaf, by lane and position. */
static void
WriteRows(ArchiveWriter *w, Relation leaf)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "llm_audit archive row",
												  ALLOCSET_DEFAULT_SIZES);
	char	   *sql = MakeRowQuery(leaf);
	Portal		portal;

	appendBinaryStringInfo(&w->buf, COPY_MAGIC, COPY_MAGIC_SIZE);
	PutInt32(&w->buf, 0);
	PutInt32(&w->buf, 0);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true,
									   CURSOR_OPT_NO_SCROLL);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		WriteBatch(w, leaf, context);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	PutInt16(&w->buf, -1);
	WriterFlush(w);
}

/* Appends the manifest with what is known of the rows, and the footer. */
static void
WriteEnd(ArchiveWriter *w, const char *manifest)
{
	uint64		at = w->written;
	uint8		digest[SHA256_SIZE];
	unsigned int size = SHA256_SIZE;

	appendStringInfo(&w->buf,
					 "{\"format\": \"llm_audit archive 1\", \"rows\": {\"count\": " UINT64_FORMAT
					 ", \"offset\": %d, \"length\": " UINT64_FORMAT ", \"encoding\": \"COPY binary, UTF8\"}, \"segment\": %s, "
					 "\"checkpoint\": null, \"proofs\": null, \"signature\": null}\n",
					 w->rows, ARCHIVE_MAGIC_SIZE,
					 at - ARCHIVE_MAGIC_SIZE, manifest);
	WriterFlush(w);
	PutInt64(&w->buf, at);
	PutInt64(&w->buf, w->written - at);
	WriterFlush(w);
	if (EVP_DigestFinal_ex(w->digest, digest, &size) != 1)
		elog(ERROR, "could not compute SHA-256");
	if (fwrite(digest, 1, SHA256_SIZE, w->file) != SHA256_SIZE ||
		fwrite(ARCHIVE_END, 1, ARCHIVE_END_SIZE, w->file) != ARCHIVE_END_SIZE ||
		fflush(w->file) != 0 || pg_fsync(fileno(w->file)) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", w->path)));
}

/* ---------------- reading ---------------- */

static void
			RefuseArchive(const ArchiveFile *archive, const char *why)
			pg_attribute_noreturn();

static void
RefuseArchive(const ArchiveFile *archive, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("file \"%s\" is not a whole archive", archive->path),
			 errdetail("%s", why)));
}

/* Reads exactly so many bytes at an offset. */
static void
ReadAt(const ArchiveFile *archive, uint64 at, void *out, size_t size)
{
	if (fseeko(archive->file, (off_t) at, SEEK_SET) != 0 ||
		fread(out, 1, size, archive->file) != size)
		RefuseArchive(archive, "It ends too early.");
}

/* Opens a file and believes nothing but its size. */
static void
OpenArchive(ArchiveFile *archive, const char *path)
{
	struct stat st;
	uint8		footer[FOOTER_SIZE];
	char		magic[ARCHIVE_MAGIC_SIZE];
	uint64		n;

	archive->path = path;
	archive->file = AllocateFile(path, PG_BINARY_R);
	if (archive->file == NULL || fstat(fileno(archive->file), &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	archive->size = (uint64) st.st_size;
	if (!S_ISREG(st.st_mode) ||
		archive->size < ARCHIVE_MAGIC_SIZE + FOOTER_SIZE)
		RefuseArchive(archive, "It is too short.");
	ReadAt(archive, 0, magic, ARCHIVE_MAGIC_SIZE);
	if (memcmp(magic, ARCHIVE_MAGIC, ARCHIVE_MAGIC_SIZE) != 0)
		RefuseArchive(archive, "It does not begin like one.");
	ReadAt(archive, archive->size - FOOTER_SIZE, footer, FOOTER_SIZE);
	if (memcmp(footer + FOOTER_SIZE - ARCHIVE_END_SIZE, ARCHIVE_END,
			   ARCHIVE_END_SIZE) != 0)
		RefuseArchive(archive, "It does not end like one: it may have been cut off.");
	memcpy(&n, footer, sizeof(n));
	archive->manifest_at = pg_ntoh64(n);
	memcpy(&n, footer + 8, sizeof(n));
	archive->manifest_size = pg_ntoh64(n);
	memcpy(archive->digest, footer + 16, SHA256_SIZE);
	if (archive->manifest_size > MANIFEST_LIMIT ||
		archive->manifest_at < ARCHIVE_MAGIC_SIZE ||
		archive->manifest_at > archive->size ||
		archive->manifest_at + archive->manifest_size + FOOTER_SIZE !=
		archive->size)
		RefuseArchive(archive, "Its parts do not fit together.");
}

/* Compares the file's content with its SHA-256. */
static void
CheckDigest(const ArchiveFile *archive)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	char	   *buf = palloc(WRITE_SIZE);
	uint64		rest = archive->size - SHA256_SIZE - ARCHIVE_END_SIZE;
	uint8		found[SHA256_SIZE];
	unsigned int size = SHA256_SIZE;
	bool		ok;

	ok = digest != NULL &&
		EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		fseeko(archive->file, 0, SEEK_SET) == 0;
	while (ok && rest > 0)
	{
		size_t		n = Min(rest, WRITE_SIZE);

		ok = fread(buf, 1, n, archive->file) == n &&
			EVP_DigestUpdate(digest, buf, n) == 1;
		rest -= n;
	}
	ok = ok && EVP_DigestFinal_ex(digest, found, &size) == 1;
	EVP_MD_CTX_free(digest);
	pfree(buf);
	if (!ok || memcmp(found, archive->digest, SHA256_SIZE) != 0)
		RefuseArchive(archive, "Its content does not match its SHA-256.");
}

/* Opens and checks a file, and closes it again. */
static text *
ReadManifest(const char *path)
{
	ArchiveFile archive;
	char	   *manifest;

	OpenArchive(&archive, path);
	CheckDigest(&archive);
	manifest = palloc(archive.manifest_size);
	ReadAt(&archive, archive.manifest_at, manifest, archive.manifest_size);
	FreeFile(archive.file);
	return cstring_to_text_with_len(manifest, archive.manifest_size);
}

/* What COPY is reading from; COPY passes its source no argument. */
static ArchiveFile *copy_source = NULL;
static uint64 copy_rest;

static int
ReadForCopy(void *out, int minread, int maxread)
{
	size_t		n = fread(out, 1, Min(copy_rest, (uint64) maxread),
						  copy_source->file);

	copy_rest -= n;
	return (int) n;
}

/* ---------------- functions ---------------- */

/* True if the path's directory, as links lead to it, is within another. */
static bool
LeadsInto(const char *directory, const char *path)
{
	char	   *parent = pstrdup(path);
	char	   *real;
	bool		within;

	get_parent_directory(parent);
	real = realpath(parent, NULL);
	if (real == NULL)
		return false;			/* whoever opens the file says why */
	within = path_is_prefix_of_path(directory, real);
	free(real);
	return within;
}

/* A path of the server's, absolute and without detours. */
static char *
PathArg(text *arg)
{
	char	   *path = text_to_cstring(arg);
	char	   *data = realpath(DataDir, NULL);
	bool		in_data;

	canonicalize_path(path);
	if (!is_absolute_path(path) || path_contains_parent_reference(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("path of an archive must be absolute and not go back up")));
	in_data = path_is_prefix_of_path(DataDir, path) ||
		(data != NULL && LeadsInto(data, path));
	free(data);
	if (in_data)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("an archive cannot lie in the data directory")));
	return path;
}

/* Removes what is not to stay; no error is possible any more. */
static void
RemoveNewFile(const NewFile *file)
{
	if (unlink(file->path) != 0 && errno != ENOENT)
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", file->path),
				 errhint("It is an archive that was rolled back: remove it.")));
}

/* At the transaction's end: its files stay, or go with it. */
static void
EndOfTransaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
	{
		for (NewFile *file = new_files; file != NULL; file = file->next)
			RemoveNewFile(file);
	}
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT ||
		event == XACT_EVENT_PREPARE)
		new_files = NULL;
}

/* The files of a subtransaction become its parent's, or go. */
static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId subid,
					SubTransactionId parent, void *arg)
{
	NewFile   **link = &new_files;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	while (*link != NULL)
	{
		NewFile    *file = *link;

		if (file->subid == subid && event == SUBXACT_EVENT_ABORT_SUB)
		{
			RemoveNewFile(file);
			*link = file->next;
			continue;
		}
		if (file->subid == subid)
			file->subid = parent;
		link = &file->next;
	}
}

/* Notes a file before it is there. */
static void
NoteNewFile(const char *path)
{
	static bool registered = false;
	NewFile    *file;

	if (!registered)
	{
		RegisterXactCallback(EndOfTransaction, NULL);
		RegisterSubXactCallback(EndOfSubtransaction, NULL);
		registered = true;
	}
	file = MemoryContextAlloc(TopTransactionContext,
							  offsetof(NewFile, path) + strlen(path) + 1);
	file->next = new_files;
	file->subid = GetCurrentSubTransactionId();
	strcpy(file->path, path);
	new_files = file;
}

/* Makes a new file that nobody else can read. */
static FILE *
CreatePrivate(const char *path)
{
	FILE	   *file;
	mode_t		mask = umask(S_IRWXG | S_IRWXO);

	file = AllocateFile(path, "wbx");
	umask(mask);
	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", path)));
	return file;
}

/*
 * llm_audit.archive_write(segment regclass, path text, manifest text,
 *						   expected bigint)
 *		Writes a segment's rows and the manifest to a new file; returns the
 *		manifest as it stands in the file.  The caller holds a lock that keeps
 *		the rows as they are.  Raises XX001 if they do not verify or are not
 *		as many as expected.
 */
Datum
llm_audit_archive_write(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *path = PathArg(PG_GETARG_TEXT_PP(1));
	char	   *manifest = text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *temporary = psprintf("%s.%d.tmp", path, MyProcPid);
	ArchiveWriter w = {0};
	Relation	leaf;
	text	   *result = NULL;
	struct stat st;

	RequireSuperuser("archive_write");
	if (stat(path, &st) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_FILE),
				 errmsg("file \"%s\" exists already", path)));
	leaf = table_open(relid, AccessShareLock);
	w.seg = SegmentLookup(relid);
	if (w.seg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a ledger segment",
						RelationGetRelationName(leaf))));
	w.path = temporary;
	w.file = CreatePrivate(temporary);
	w.digest = EVP_MD_CTX_new();
	initStringInfo(&w.buf);
	enlargeStringInfo(&w.buf, WRITE_SIZE * 2);
	EncodeBufferInit(&w.preimage);
	PG_TRY();
	{
		if (w.digest == NULL ||
			EVP_DigestInit_ex(w.digest, EVP_sha256(), NULL) != 1)
			elog(ERROR, "could not compute SHA-256");
		appendBinaryStringInfo(&w.buf, ARCHIVE_MAGIC, ARCHIVE_MAGIC_SIZE);
		WriteRows(&w, leaf);
		if (w.rows != (uint64) PG_GETARG_INT64(3))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("segment \"%s\" does not verify and is not archived",
							RelationGetRelationName(leaf)),
					 errdetail("It has " UINT64_FORMAT " rows and should have " INT64_FORMAT ".",
							   w.rows, PG_GETARG_INT64(3)),
					 errhint("Run llm_audit.verify().")));
		WriteEnd(&w, manifest);
		FreeFile(w.file);
		result = ReadManifest(temporary);
		NoteNewFile(path);
		durable_rename(temporary, path, ERROR);
	}
	PG_CATCH();
	{
		EVP_MD_CTX_free(w.digest);
		unlink(temporary);
		PG_RE_THROW();
	}
	PG_END_TRY();
	EVP_MD_CTX_free(w.digest);
	table_close(leaf, NoLock);
	PG_RETURN_TEXT_P(result);
}

/*
 * llm_audit.archive_discard(path text)
 *		Removes a file that a crash left while it was written; false if there
 *		is none of that name.  Raises 22023 for any other name.
 */
Datum
llm_audit_archive_discard(PG_FUNCTION_ARGS)
{
	char	   *path = PathArg(PG_GETARG_TEXT_PP(0));
	size_t		len = strlen(path);
	struct stat st;

	RequireSuperuser("archive_discard");
	if (len < 4 || strcmp(path + len - 4, ".tmp") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("file \"%s\" is not an unfinished archive", path)));
	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		PG_RETURN_BOOL(false);
	if (unlink(path) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", path)));
	PG_RETURN_BOOL(true);
}

/*
 * llm_audit.archive_manifest(path text)
 *		Checks that a file is a whole archive and returns its manifest; raises
 *		XX001 with the reason if it is not.
 */
Datum
llm_audit_archive_manifest(PG_FUNCTION_ARGS)
{
	RequireSuperuser("archive_manifest");
	PG_RETURN_TEXT_P(ReadManifest(PathArg(PG_GETARG_TEXT_PP(0))));
}

/*
 * llm_audit.archive_rows(path text, relation regclass)
 *		Copies an archive's rows into a table that has its columns; returns
 *		how many.  Checks the file first.
 */
Datum
llm_audit_archive_rows(PG_FUNCTION_ARGS)
{
	char	   *path = PathArg(PG_GETARG_TEXT_PP(0));
	ArchiveFile archive;
	Relation	rel;
	ParseState *pstate;
	CopyFromState cstate;
	uint64		rows;

	RequireSuperuser("archive_rows");
	rel = table_open(PG_GETARG_OID(1), RowExclusiveLock);
	if (SegmentLookup(RelationGetRelid(rel)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a ledger segment",
						RelationGetRelationName(rel))));
	OpenArchive(&archive, path);
	CheckDigest(&archive);
	if (fseeko(archive.file, ARCHIVE_MAGIC_SIZE, SEEK_SET) != 0)
		RefuseArchive(&archive, "It ends too early.");
	copy_source = &archive;
	copy_rest = archive.manifest_at - ARCHIVE_MAGIC_SIZE;

	pstate = make_parsestate(NULL);
	(void) addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock, NULL,
										 false, false);
	cstate = BeginCopyFrom(pstate, rel, NULL, NULL, false, ReadForCopy, NIL,
						   list_make2(makeDefElem("format", (Node *) makeString("binary"), -1),
									  makeDefElem("encoding", (Node *) makeString("UTF8"), -1)));
	rows = CopyFrom(cstate);
	EndCopyFrom(cstate);
	copy_source = NULL;
	FreeFile(archive.file);
	table_close(rel, NoLock);
	PG_RETURN_INT64((int64) rows);
}
