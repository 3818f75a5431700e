/*
 * encrypt_dir.c
 *	  The key directory: one file for each data key, outside the database.
 *
 * A file is named "LEDGER-SEGMENT-KEYID.key".  Whoever adds, replaces or
 * destroys a file, or writes its count, holds an exclusive flock on the file
 * "llm_audit.lock", which the kernel drops with its process; and a file is
 * put in place by rename when it is complete and on disk.  So readers take
 * no lock, and a crash leaves at worst a file "tmp.*" that the next one to
 * lock deletes.
 *
 * The lock file also says that the directory is one of ours: an empty
 * directory where a volume was not mounted is refused, not filled.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sha256.h"
#include "miscadmin.h"
#include "policy/encrypt.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#define LOCK_NAME "llm_audit.lock"
#define TEMPORARY_PREFIX "tmp."
#define KEY_SUFFIX ".key"
#define LOCK_RETRY_US 2000

char	   *llm_audit_key_directory = NULL;

/* The directory, free of symbolic links; valid after KeyDirProblem. */
static char directory[MAXPGPATH];

/* ---------------- is it a place for keys? ---------------- */

/* True if path is dir or below it; both are free of symbolic links. */
static bool
IsBelow(const char *path, const char *dir)
{
	size_t		len = strlen(dir);

	return strncmp(path, dir, len) == 0 &&
		(path[len] == '/' || path[len] == '\0');
}

/* True if the key directory is in the directory that path leads to. */
static bool
LiesIn(const char *path)
{
	char		resolved[PATH_MAX];

	return realpath(path, resolved) != NULL && IsBelow(directory, resolved);
}

/* True if it would be copied by a base backup: in a tablespace, or in WAL. */
static bool
LiesInBackup(void)
{
	DIR		   *dir;
	struct dirent *entry;
	bool		found = LiesIn(DataDir) || LiesIn("pg_wal");

	dir = AllocateDir("pg_tblspc");
	while (!found && (entry = ReadDir(dir, "pg_tblspc")) != NULL)
	{
		char		path[MAXPGPATH];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "pg_tblspc/%s", entry->d_name);
		found = LiesIn(path);
	}
	FreeDir(dir);
	return found;
}

const char *
KeyDirProblem(bool initialized)
{
	char		resolved[PATH_MAX];
	char		path[MAXPGPATH * 2];
	struct stat st;

	directory[0] = '\0';
	if (llm_audit_key_directory == NULL || llm_audit_key_directory[0] == '\0')
		return "There is none.";
	if (realpath(llm_audit_key_directory, resolved) == NULL ||
		stat(resolved, &st) != 0)
		return psprintf("It cannot be opened: %s.", strerror(errno));
	if (strlen(resolved) >= MAXPGPATH - 80)
		return "Its name is too long.";
	strlcpy(directory, resolved, sizeof(directory));
	if (!S_ISDIR(st.st_mode))
		return "It is not a directory.";
	if (st.st_uid != geteuid())
		return "It does not belong to the user that runs the server.";
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return "Others may enter or read it; its mode must be 0700.";
	if (LiesInBackup())
		return "It lies within the data directory, WAL or a tablespace, whose backups would carry the keys along.";
	if (access(directory, R_OK | W_OK | X_OK) != 0 && !RecoveryInProgress())
		return psprintf("It cannot be written: %s.", strerror(errno));
	snprintf(path, sizeof(path), "%s/%s", directory, LOCK_NAME);
	if (initialized && stat(path, &st) != 0)
		return "It is not one of llm_audit's yet, or another one is mounted in its place.";
	return NULL;
}

void
KeyDirRequire(bool initialized)
{
	const char *problem = KeyDirProblem(initialized);

	if (problem == NULL)
		return;
	if (llm_audit_key_directory == NULL || llm_audit_key_directory[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("there is no directory for data keys"),
				 errhint("Set \"%s\" to a directory outside the data directory.",
						 "llm_audit.key_directory")));
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("key directory \"%s\" cannot be used",
					llm_audit_key_directory),
			 errdetail_internal("%s", problem),
			 errhint("\"%s\" must be a directory of mode 0700 outside the data directory, made ready by llm_audit.init_key_directory().",
					 "llm_audit.key_directory")));
}

/* ---------------- files ---------------- */

/* The path of a data key's file, into path[MAXPGPATH]. */
static void
KeyPath(const DataKeyRef *ref, char *path)
{
	pg_uuid_t	id;

	memcpy(id.data, ref->ledger_id, LEDGER_ID_SIZE);
	snprintf(path, MAXPGPATH, "%s/%s-%u-%08x%s", directory,
			 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id))),
			 ref->segment, ref->key_id, KEY_SUFFIX);
}

/* The error for a file that could not be opened, read or written. */
static void
RaiseFileError(const char *what, const char *path)
{
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not %s file \"%s\": %m", what, path)));
}

/* Reads a file of at most DATAKEY_FILE_MAX bytes; -1 if there is none. */
static int
ReadSmallFile(const char *path, uint8 *data, struct stat *st)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	int			len;

	if (fd < 0 && errno == ENOENT)
		return -1;
	if (fd < 0)
		RaiseFileError("open", path);
	len = pg_pread(fd, data, DATAKEY_FILE_MAX, 0);
	if (len < 0 || fstat(fd, st) != 0)
		RaiseFileError("read", path);
	CloseTransientFile(fd);
	return len;
}

/*
 * Reads the key at path.  A file that is being replaced may be overwritten
 * under our eyes, so one that makes no sense is looked at again.
 */
static DataKeyRead
ReadKey(const char *path, const DataKeyRef *ref, DataKeyFile *file,
		struct stat *st)
{
	uint8		data[DATAKEY_FILE_MAX];

	for (int attempt = 0; attempt < 10; attempt++)
	{
		int			len = ReadSmallFile(path, data, st);

		if (len < 0)
			return KEY_READ_NONE;
		if (DataKeyGet(data, len, file) && file->segment == ref->segment &&
			file->key_id == ref->key_id &&
			memcmp(file->ledger_id, ref->ledger_id, LEDGER_ID_SIZE) == 0)
			return KEY_READ_OK;
		pg_usleep(LOCK_RETRY_US);
	}
	return KEY_READ_DAMAGED;
}

bool
KeyDirRead(const DataKeyRef *ref, DataKeyFile *file, struct stat *st)
{
	char		path[MAXPGPATH];

	KeyPath(ref, path);
	switch (ReadKey(path, ref, file, st))
	{
		case KEY_READ_NONE:
			return false;
		case KEY_READ_OK:
			return true;
		case KEY_READ_DAMAGED:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("data key file \"%s\" is damaged", path),
			 errhint("Restore it from the backup of the directory that \"%s\" names.",
					 "llm_audit.key_directory")));
	return false;				/* not reached */
}

DataKeyRead
KeyDirReadAny(const DataKeyRef *ref, DataKeyFile *file)
{
	char		path[MAXPGPATH];
	struct stat st;

	KeyPath(ref, path);
	return ReadKey(path, ref, file, &st);
}

bool
KeyDirUnchanged(const DataKeyRef *ref, const struct stat *st)
{
	char		path[MAXPGPATH];
	struct stat now;

	if (directory[0] == '\0')
		return false;
	KeyPath(ref, path);
	return stat(path, &now) == 0 && now.st_ino == st->st_ino &&
		now.st_dev == st->st_dev && now.st_size == st->st_size;
}

/*
 * Overwrites what a file held, through a descriptor that outlives its name:
 * with zero bytes, or with what is to be read in its place.
 */
static void
Overwrite(int fd, const char *path, const DataKeyFile *file)
{
	uint8		data[DATAKEY_FILE_MAX] = {0};
	struct stat st;

	if (file != NULL)
		(void) DataKeyPut(file, data);
	if (fstat(fd, &st) != 0 ||
		pg_pwrite(fd, data, Min(st.st_size, DATAKEY_FILE_MAX), 0) < 0 ||
		pg_fsync(fd) != 0)
		RaiseFileError("overwrite", path);
}

/* Writes a file that is to be renamed; raises an error if it cannot. */
static void
WriteTemporary(const char *path, const uint8 *data, size_t len)
{
	int			fd = OpenTransientFilePerm(path, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY,
										   S_IRUSR | S_IWUSR);

	if (fd < 0)
		RaiseFileError("create", path);
	errno = 0;
	if (pg_pwrite(fd, data, len, 0) != (ssize_t) len)
	{
		if (errno == 0)
			errno = ENOSPC;
		RaiseFileError("write", path);
	}
	if (pg_fsync(fd) != 0)
		RaiseFileError("fsync", path);
	CloseTransientFile(fd);
}

void
KeyDirWrite(const DataKeyFile *file, bool replace)
{
	DataKeyRef	ref;
	uint8		data[DATAKEY_FILE_MAX];
	char		path[MAXPGPATH];
	char		temporary[MAXPGPATH * 2];
	int			old;

	memcpy(ref.ledger_id, file->ledger_id, LEDGER_ID_SIZE);
	ref.segment = file->segment;
	ref.key_id = file->key_id;
	KeyPath(&ref, path);
	snprintf(temporary, sizeof(temporary), "%s/%s%d", directory,
			 TEMPORARY_PREFIX, MyProcPid);
	old = OpenTransientFile(path, O_RDWR | PG_BINARY);
	if (old < 0 && (errno != ENOENT || replace))
		RaiseFileError("open", path);
	if (old >= 0 && !replace)
		elog(ERROR, "data key file \"%s\" exists already", path);
	if (file->state == DATAKEY_DESTROYED && old >= 0)
		Overwrite(old, path, file);
	WriteTemporary(temporary, data, DataKeyPut(file, data));
	(void) durable_rename(temporary, path, ERROR);
	if (old >= 0)
	{
		Overwrite(old, path, NULL);
		CloseTransientFile(old);
	}
}

void
KeyDirWriteCount(const DataKeyFile *file)
{
	DataKeyRef	ref;
	uint8		count[8];
	char		path[MAXPGPATH];
	int			fd;

	memcpy(ref.ledger_id, file->ledger_id, LEDGER_ID_SIZE);
	ref.segment = file->segment;
	ref.key_id = file->key_id;
	KeyPath(&ref, path);
	PutU64(count, file->count);
	fd = OpenTransientFile(path, O_WRONLY | PG_BINARY);
	if (fd < 0)
		RaiseFileError("open", path);
	if (pg_pwrite(fd, count, sizeof(count), DATAKEY_COUNT_OFFSET) != sizeof(count) ||
		pg_fsync(fd) != 0)
		RaiseFileError("write", path);
	CloseTransientFile(fd);
}

/* ---------------- the lock ---------------- */

int
KeyDirLock(void)
{
	char		path[MAXPGPATH * 2];
	int			fd;

	snprintf(path, sizeof(path), "%s/%s", directory, LOCK_NAME);
	fd = OpenTransientFile(path, O_RDWR | PG_BINARY);
	if (fd < 0)
		RaiseFileError("open", path);
	while (flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		if (errno != EWOULDBLOCK && errno != EINTR)
			RaiseFileError("lock", path);
		CHECK_FOR_INTERRUPTS();
		pg_usleep(LOCK_RETRY_US);
	}
	return fd;
}

void
KeyDirUnlock(int lock)
{
	CloseTransientFile(lock);
}

void
KeyDirInit(void)
{
	char		path[MAXPGPATH * 2];
	int			fd;

	KeyDirRequire(false);
	snprintf(path, sizeof(path), "%s/%s", directory, LOCK_NAME);
	fd = OpenTransientFilePerm(path, O_CREAT | O_RDWR | PG_BINARY,
							   S_IRUSR | S_IWUSR);
	if (fd < 0)
		RaiseFileError("create", path);
	if (pg_fsync(fd) != 0)
		RaiseFileError("fsync", path);
	CloseTransientFile(fd);
	fsync_fname(directory, true);
}

/* ---------------- looking through ---------------- */

/* Reads a file's name; false if it is none of a data key. */
static bool
ReadName(const char *name, DataKeyRef *ref)
{
	unsigned int bytes[LEDGER_ID_SIZE];
	int			used = 0;
	int			end = 0;

	for (int i = 0; i < LEDGER_ID_SIZE; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
		{
			if (name[used] != '-')
				return false;
			used++;
		}
		if (!isxdigit((unsigned char) name[used]) ||
			sscanf(name + used, "%2x", &bytes[i]) != 1)
			return false;
		ref->ledger_id[i] = bytes[i];
		used += 2;
	}
	return sscanf(name + used, "-%10u-%8x%n", &ref->segment, &ref->key_id,
				  &end) == 2 && strcmp(name + used + end, KEY_SUFFIX) == 0;
}

void
KeyDirVisit(const uint8 *ledger_id, KeyDirVisitor visit, void *arg)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;

	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		DataKeyRef	ref;
		DataKeyFile file;
		DataKeyRead read;
		struct stat st;
		char		path[MAXPGPATH * 2];

		CHECK_FOR_INTERRUPTS();
		if (!ReadName(entry->d_name, &ref) ||
			(ledger_id != NULL &&
			 memcmp(ledger_id, ref.ledger_id, LEDGER_ID_SIZE) != 0))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		read = ReadKey(path, &ref, &file, &st);
		if (read != KEY_READ_NONE)
			visit(&ref, read == KEY_READ_OK ? &file : NULL, arg);
	}
	FreeDir(dir);
}

void
KeyDirSweep(void)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;

	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		char		path[MAXPGPATH * 2];

		if (strncmp(entry->d_name, TEMPORARY_PREFIX,
					strlen(TEMPORARY_PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (unlink(path) != 0 && errno != ENOENT)
			RaiseFileError("remove", path);
	}
	FreeDir(dir);
}
