/*
 * store.c
 *	  Key material from an OpenSSL store: a PEM file, a PKCS#11 token, or
 *	  whatever else the installed OpenSSL has a provider or engine for.
 *
 * A store gives private keys, not secrets of 32 bytes.  What we need follows
 * from a signature over a constant where the scheme is deterministic
 * (Ed25519, Ed448, RSA with PKCS #1 v1.5), so that a key that never leaves
 * its token serves too, or from the raw private key (X25519, X448).  ECDSA
 * signs anew each time and is refused.
 *
 * A child process does it.  OpenSSL and whatever module it loads leave
 * pieces of private keys and PINs in memory that they free, where a core dump
 * of the server would show them; the child leaves none, and nothing of it is
 * left but what it was asked for.  Nor can a token that does not answer keep
 * a backend from being cancelled.
 */
#include "postgres.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include "core/hmac.h"
#include "core/secret.h"
#include "miscadmin.h"
#include "policy/store.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

/* Enough for RSA of 16384 bits. */
#define MATERIAL_MAX 2048

/* How long a store may take to answer. */
#define ANSWER_MS 30000

/* What the child says, before the key. */
typedef enum StoreStatus
{
	STORE_OK = 0,
	STORE_NO_KEY,
	STORE_UNFIT,
	STORE_NO_HMAC
} StoreStatus;

typedef struct StoreAnswer
{
	uint8_t		status;			/* StoreStatus */
	uint8_t		key[SHA256_SIZE];
} StoreAnswer;

static const char purpose[] = "llm_audit store key 1";

bool
StoreIsUri(const char *text)
{
	size_t		len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+.-");

	return len > 1 && text[len] == ':';
}

/* The first private key at the URI, or NULL; nobody is asked for a PIN. */
static EVP_PKEY *
LoadPrivateKey(const char *uri)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, UI_null(), NULL, NULL, NULL);
	EVP_PKEY   *result = NULL;

	if (store == NULL)
		return NULL;
	while (result == NULL && !OSSL_STORE_eof(store))
	{
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info == NULL)
		{
			if (OSSL_STORE_error(store))
				break;
			continue;
		}
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			result = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	return result;
}

/* Signs the constant; the signature's length, 0 if that fails. */
static size_t
SignConstant(EVP_PKEY *pkey, const EVP_MD *digest, uint8 *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *parameters = NULL;
	size_t		len = MATERIAL_MAX;

	if (context == NULL ||
		EVP_DigestSignInit(context, &parameters, digest, NULL, pkey) != 1 ||
		(digest != NULL &&
		 EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PADDING) != 1) ||
		EVP_DigestSign(context, out, &len, (const unsigned char *) purpose,
					   sizeof(purpose)) != 1)
		len = 0;
	EVP_MD_CTX_free(context);
	return len;
}

/* What the key follows from; 0 bytes if nothing can be had. */
static size_t
ReadMaterial(EVP_PKEY *pkey, uint8 *out)
{
	size_t		len = MATERIAL_MAX;

	switch (EVP_PKEY_get_base_id(pkey))
	{
		case EVP_PKEY_ED25519:
		case EVP_PKEY_ED448:
			return SignConstant(pkey, NULL, out);
		case EVP_PKEY_RSA:
			return SignConstant(pkey, EVP_sha256(), out);
		case EVP_PKEY_X25519:
		case EVP_PKEY_X448:
			return EVP_PKEY_get_raw_private_key(pkey, out, &len) == 1 ? len : 0;
		default:
			return 0;
	}
}

/* True if others than its owner can read or write a file: URI's file. */
static bool
OthersMayRead(const char *uri)
{
	struct stat status;
	const char *path = uri + strlen("file:");

	if (strncmp(uri, "file:", strlen("file:")) != 0)
		return false;
	if (strncmp(path, "///", 3) == 0)
		path += 2;
	return stat(path, &status) == 0 &&
		(status.st_mode & (S_IRWXO | S_IWGRP)) != 0;
}

/* The key that follows from the private key at the URI; for the child. */
static StoreStatus
DeriveKey(const char *uri, uint8_t *key)
{
	uint8		material[MATERIAL_MAX];
	HmacPiece	secret = {purpose, sizeof(purpose)};
	HmacPiece	piece = {material, 0};
	EVP_PKEY   *pkey = LoadPrivateKey(uri);

	if (pkey == NULL)
		pkey = StoreEngineKey(uri);
	if (pkey == NULL)
		return STORE_NO_KEY;
	piece.len = ReadMaterial(pkey, material);
	if (piece.len == 0)
		return STORE_UNFIT;
	return HmacSha256(&secret, &piece, 1, key) ? STORE_OK : STORE_NO_HMAC;
}

/* What modules print may quote the URI, and with it a PIN. */
static void
CloseOutput(void)
{
	int			null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDOUT_FILENO) < 0 ||
		dup2(null, STDERR_FILENO) < 0)
		_exit(1);
}

/*
 * The child: writes its answer and ends, without anything that the server
 * does when a backend ends.
 */
static void
RunChild(const char *uri, int answer_fd)
{
	StoreAnswer answer = {0};
	static const int defaults[] = {
		SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGPIPE
	};

	on_exit_reset();			/* a module that calls exit() ends no backend */
	SecretProcess();
	CloseOutput();
#ifdef PR_SET_PDEATHSIG
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
#endif
	for (int i = 0; i < lengthof(defaults); i++)
		signal(defaults[i], SIG_DFL);
	answer.status = DeriveKey(uri, answer.key);
	if (write(answer_fd, &answer, sizeof(answer)) != sizeof(answer))
		_exit(1);
	_exit(0);
}

/* Waits for the child's answer; false if it ends or dallies without one. */
static bool
AwaitAnswer(int fd, StoreAnswer *answer)
{
	TimestampTz started = GetCurrentTimestamp();
	struct pollfd waiting = {.fd = fd,.events = POLLIN};

	while (!TimestampDifferenceExceeds(started, GetCurrentTimestamp(), ANSWER_MS))
	{
		CHECK_FOR_INTERRUPTS();
		if (poll(&waiting, 1, 100) > 0)
			return read(fd, answer, sizeof(*answer)) == sizeof(*answer);
	}
	return false;
}

/* Ends the child, whatever it does, and closes its pipe. */
static void
EndChild(pid_t child, int fd)
{
	close(fd);
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Has a child answer; false if there is no answer. */
static bool
AskChild(const char *uri, StoreAnswer *answer)
{
	int			fds[2];
	pid_t		child;
	volatile bool answered = false;

	if (pipe(fds) != 0)
		return false;
	child = fork();
	if (child == 0)
		RunChild(uri, fds[1]);
	close(fds[1]);
	if (child < 0)
	{
		close(fds[0]);
		return false;
	}
	PG_TRY();
	{
		answered = AwaitAnswer(fds[0], answer);
	}
	PG_FINALLY();
	{
		EndChild(child, fds[0]);
	}
	PG_END_TRY();
	return answered;
}

const char *
StoreReadKey(const char *uri, uint8_t key[SHA256_SIZE])
{
	StoreAnswer answer = {0};
	StoreStatus status;

	if (OthersMayRead(uri))
		return "Others may read or write the file of a URI; its mode must be 0600, or 0640 if root owns it.";
	if (!AskChild(uri, &answer))
		return "The store of a URI does not answer.";
	status = answer.status;
	memcpy(key, answer.key, SHA256_SIZE);
	OPENSSL_cleanse(&answer, sizeof(answer));
	switch (status)
	{
		case STORE_OK:
			return NULL;
		case STORE_NO_KEY:
			return "OpenSSL finds no private key at a URI.";
		case STORE_UNFIT:
			return "The key at a URI is not of type Ed25519, Ed448, X25519, X448 or RSA, or may not be used.";
		case STORE_NO_HMAC:
			break;
	}
	return "OpenSSL could not compute an HMAC.";
}
