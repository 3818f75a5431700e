/*
 * table.c
 *	  All detectors.  A new one is one entry here and, unless it is a key
 *	  with a prefix, one function.
 *
 * Detectors of one trigger are asked in the order of this table.
 */
#include "mask/lexicon.h"
#include "mask/scan.h"

/* A key with a prefix: the characters after it, how many, their entropy. */
#define KEY(entity, words, charset, min, max, entropy) \
	{entity, TRIGGER_WORD, DetectPrefixedKey, words, true, charset, min, max, \
	 entropy, 0, NULL, 0}
#define API(words, charset, min, max) \
	KEY(MASK_API_KEY, words, charset, min, max, 2.5f)
#define TOKEN(words, charset, min, max) \
	KEY(MASK_ACCESS_TOKEN, words, charset, min, max, 2.5f)

#define ON(entity, trigger, detect) \
	{entity, trigger, detect, NULL, false, NULL, 0, 0, 0, 0, NULL, 0}
/* ':' before one of the characters. */
#define ON_COLON(entity, detect, joins) \
	{entity, TRIGGER_COLON, detect, NULL, false, NULL, 0, 0, 0, 0, joins, 0}
/* The lengths from one to another; a number's first group has one of them. */
#define BITS(from, to) ((UINT64_C(2) << (to)) - (UINT64_C(1) << (from)))
#define ON_NUMBER(entity, detect, lengths) \
	{entity, TRIGGER_NUMBER, detect, NULL, false, NULL, 0, 0, 0, lengths, NULL, 0}
/* The same, if what follows the first group is one of the characters, or it
 * stands alone ('0'). */
#define ON_JOINED(entity, detect, lengths, joins) \
	{entity, TRIGGER_NUMBER, detect, NULL, false, NULL, 0, 0, 0, lengths, joins, 0}
/* Of two groups or more, the first two of these lengths. */
#define ON_GROUPS(entity, detect, lengths, next, joins) \
	{entity, TRIGGER_NUMBER, detect, NULL, false, NULL, 0, 0, 0, lengths, joins, \
	 next}
#define ON_TOKEN(entity, detect, lengths, joins) \
	{entity, TRIGGER_TOKEN, detect, NULL, false, NULL, 0, 0, 0, lengths, joins, 0}
#define ON_WORD(entity, detect, words, exact, detail) \
	{entity, TRIGGER_WORD, detect, words, exact, detail, 0, 0, 0, 0, NULL, 0}

const MaskDetector DetectorTable[] =
{
	/* numbers, the surest first */
	ON_GROUPS(MASK_IBAN_CODE, DetectSplitIban, BITS(2, 2), BITS(1, 24), " "),
	ON_NUMBER(MASK_IBAN_CODE, DetectSplitIban, BITS(4, 6) | BITS(12, 24)),
	ON_JOINED(MASK_ACCESS_TOKEN, DetectFacebook, BITS(15, 16), "0"),
	ON_GROUPS(MASK_IP_ADDRESS, DetectIpv4, BITS(1, 3), BITS(1, 3), "."),
	ON_JOINED(MASK_MAC_ADDRESS, DetectMacToken, BITS(2, 2) | BITS(4, 4), "0-."),
	ON_JOINED(MASK_DATE_OF_BIRTH, DetectDate, BITS(1, 2) | BITS(4, 4), "-./0*"),
	ON_GROUPS(MASK_DATE_OF_BIRTH, DetectDate, BITS(1, 2), BITS(4, 4), " "),
	ON_JOINED(MASK_DATE_OF_BIRTH, DetectDate, BITS(8, 8), "0"),
	ON_GROUPS(MASK_KZ_IIN, DetectTwelve, BITS(1, 1), BITS(1, 1), " -."),
	ON_GROUPS(MASK_KZ_IIN, DetectTwelve, BITS(2, 2), BITS(2, 2), " -."),
	ON_GROUPS(MASK_KZ_IIN, DetectTwelve, BITS(3, 3), BITS(3, 3), " -."),
	ON_GROUPS(MASK_KZ_IIN, DetectTwelve, BITS(4, 4), BITS(4, 4), " -."),
	ON_GROUPS(MASK_KZ_IIN, DetectTwelve, BITS(6, 6), BITS(2, 6), " -."),
	ON_NUMBER(MASK_KZ_IIN, DetectTwelve, BITS(12, 12)),
	ON_GROUPS(MASK_NATIONAL_ID, DetectPersonal, BITS(6, 6),
			  BITS(3, 4) | BITS(7, 7), "-"),
	ON_GROUPS(MASK_NATIONAL_ID, DetectPersonal, BITS(3, 3), BITS(3, 4), "."),
	ON_NUMBER(MASK_NATIONAL_ID, DetectPersonal, BITS(18, 18)),
	ON_GROUPS(MASK_US_SSN, DetectSsn, BITS(3, 3), BITS(2, 2) | BITS(6, 6),
			  NULL),
	ON_GROUPS(MASK_US_SSN, DetectSsn, BITS(5, 5), BITS(4, 4), NULL),
	ON_GROUPS(MASK_US_SSN, DetectSsn, BITS(1, 1), BITS(1, 1), " -"),
	ON_NUMBER(MASK_US_SSN, DetectSsn, BITS(9, 9)),
	ON_GROUPS(MASK_RU_SNILS, DetectSnils, BITS(3, 3), BITS(3, 3), NULL),
	ON_NUMBER(MASK_RU_SNILS, DetectSnils, BITS(11, 11)),
	ON_GROUPS(MASK_CREDIT_CARD, DetectCard, BITS(1, 1), BITS(1, 1), NULL),
	ON_GROUPS(MASK_CREDIT_CARD, DetectCard, BITS(4, 4), BITS(4, 24), NULL),
	ON_GROUPS(MASK_CREDIT_CARD, DetectCard, BITS(6, 6), BITS(13, 13), NULL),
	ON_GROUPS(MASK_CREDIT_CARD, DetectCard, BITS(8, 8), BITS(8, 8), NULL),
	ON_NUMBER(MASK_CREDIT_CARD, DetectCard, BITS(12, 19)),
	ON_NUMBER(MASK_RU_INN, DetectInn10, BITS(10, 10)),
	ON_GROUPS(MASK_NATIONAL_ID, DetectSpacedId, BITS(2, 2), BITS(2, 2), " -"),
	ON_JOINED(MASK_NATIONAL_ID, DetectSpacedId, BITS(6, 6), "0 -"),
	ON_JOINED(MASK_NATIONAL_ID, DetectSpacedId, BITS(8, 8), "0 -"),
	ON_NUMBER(MASK_US_PASSPORT, DetectDocument, BITS(1, 24)),
	ON_NUMBER(MASK_PHONE_NUMBER, DetectPhone, BITS(1, 15)),

	/* tokens of letters and digits */
	ON_TOKEN(MASK_IBAN_CODE, DetectIban, BITS(3, 40), NULL),
	ON_TOKEN(MASK_CRYPTO, DetectBitcoin, BITS(26, 35), NULL),
	ON_TOKEN(MASK_CRYPTO, DetectEthereum, BITS(42, 42), NULL),
	ON_TOKEN(MASK_MAC_ADDRESS, DetectMacToken, BITS(2, 2) | BITS(4, 4), "-."),
	ON_TOKEN(MASK_NATIONAL_ID, DetectMbi, BITS(4, 4), "-"),
	ON_TOKEN(MASK_ACCESS_TOKEN, DetectAzureSecret, 0, "~"),
	ON_TOKEN(MASK_ACCESS_TOKEN, DetectMailchimp, BITS(32, 32), "-"),
	ON_TOKEN(MASK_ACCESS_TOKEN, DetectFixedToken, BITS(40, 40) | BITS(42, 42) |
			 BITS(49, 52) | TOKEN_LONG, NULL),
	ON_TOKEN(MASK_NATIONAL_ID, DetectDocumentToken, BITS(6, 7) | BITS(9, 19),
			 "0 ./()*~"),
	ON_TOKEN(MASK_NATIONAL_ID, DetectDocumentToken, BITS(8, 8), "0 -./()*~"),

	/* signs */
	ON(MASK_EMAIL_ADDRESS, TRIGGER_AT, DetectEmail),
	ON(MASK_URL_CREDENTIALS, TRIGGER_AT, DetectDsn),
	ON_COLON(MASK_URL_CREDENTIALS, DetectUrlCredentials, "/"),
	ON_COLON(MASK_ACCESS_TOKEN, DetectTelegram, "A"),
	ON_COLON(MASK_IP_ADDRESS, DetectColonAddress, ":0123456789ABCDEFabcdef"),
	ON(MASK_SECRET, TRIGGER_SIGN, DetectAssignment),

	/* words */
	ON_WORD(MASK_PERSON, DetectPerson,
			"my name is|my name's|name is|" LEX_MY_NAME, false, "s"),
	ON_WORD(MASK_PERSON, DetectPerson,
			"mr$|mrs$|ms$|miss$|dr$|prof$|mister$|doctor$|" LEX_TITLE, false,
			NULL),
	ON_WORD(MASK_PERSON, DetectPerson,
			"full name|fullname|first name|firstname|last name|lastname|"
			"customer name|client name|cardholder|surname|" LEX_FULL_NAME,
			false, ":"),
	ON_WORD(MASK_PERSON, DetectPerson, "name$|customer$|client$|" LEX_NAME,
			false, "2"),
	ON_WORD(MASK_SECRET, DetectLooseAssignment,
			"token|secret|password|passwd|pass$|pwd$|passphrase|api key|apikey|auth key|"
			"access key|private key|secret key|key$|credential|" LEX_PASSWORD "|"
			LEX_PASSWORD_SPACED "|" LEX_SECRET, false, NULL),
	ON_WORD(MASK_PASSWORD, DetectShortName,
			"pw$|psw$|pwd$|passcode|wifi key|wi-fi key|access code|"
			"security answer|secret answer|requirepass$|masterauth$|bindpw$|"
			"authtok$|psk$|rootpw$|enable secret|mot de passe|wachtwoord|"
			"senha$|" LEX_CODE_WORD, false, NULL),
	ON_WORD(MASK_PASSWORD, DetectPair,
			"creds$|credentials$|test account|demo account|login/password|user/password|"
			"username/password|login & password|login and password|"
			"username & password|username and password|wifi$|wi-fi$|" LEX_ACCOUNTS, false, NULL),
	ON_WORD(MASK_PASSWORD, DetectCall,
			"networkcredential$|pscredential$|httpbasicauth$|setbasicauth$|"
			"basicawscredentials$|directoryentry$|mysqli_connect$|"
			"mysql_connect$|pdo$|getconnection$|usernamepassword|credentials$|"
			"connect$|basic$|check_password_hash$|hashpw$|crypt$|"
			"curlopt_userpwd$|auth$|login$|"
			"identified by|identified with|convertto-securestring$|"
			"jwt.sign|jwt.encode|jwt.verify|jwt.decode", false, NULL),
	ON_WORD(MASK_AUTHORIZATION, DetectBearer, "bearer$|basic$", false, NULL),
	ON_WORD(MASK_PASSWORD, DetectCommand,
			"arangosh$|az$|bcp$|buildah$|cargo$|cqlsh$|crackmapexec$|crane$|"
			"curl$|cypher-shell$|docker$|echo$|etcdctl$|evil-winrm$|"
			"expdp$|flyctl$|helm$|htpasswd$|hydra$|impdp$|influx$|"
			"mosquitto_pub$|mosquitto_sub$|ncftpget$|ncftpput$|"
			"redis-benchmark$|useradd$|usermod$|"
			"ipmitool$|jarsigner$|keytool$|ldapadd$|ldapdelete$|"
			"ldapmodify$|ldappasswd$|ldapsearch$|ldapwhoami$|lftp$|"
			"mariadb$|mariadb-dump$|mongo$|mongodump$|mongoexport$|"
			"mongoimport$|mongorestore$|mongosh$|mysql$|mysqladmin$|"
			"mysqlbinlog$|mysqlcheck$|mysqldump$|mysqlimport$|mysqlsh$|"
			"mysqlshow$|nerdctl$|net$|netexec$|nxc$|oc$|openssl$|oras$|"
			"plink$|podman$|pscp$|psexec$|psftp$|putty$|rabbitmqctl$|"
			"rar$|rclone$|rdesktop$|redis-cli$|rpcclient$|skopeo$|"
			"smbclient$|smbmap$|snmpget$|snmpwalk$|sqlcmd$|sqlldr$|"
			"sqlplus$|sshpass$|ssh-keygen$|tctl$|tsql$|twine$|unrar$|"
			"unzip$|vault$|wfreerdp$|wpa_passphrase$|xfreerdp$|zip$|"
			"sudo -s$|psexec.exe$|PsExec$|PSEXEC$", true, NULL),
	ON_WORD(MASK_SECRET, DetectPin,
			"cvv|cvc|pin$|pin code|pincode$|pin number|otp$|"
			"security code|verification code|confirmation code|"
			"one-time code|one-time pass|"
			"sms code|login code|auth code|authentication code|" LEX_PIN,
			false, NULL),
	ON_WORD(MASK_DATE_OF_BIRTH, DetectBornDate, LEX_BORN, false, NULL),
	ON_WORD(MASK_IBAN_CODE, DetectSpokenIban, "iban|" LEX_IBAN "|" LEX_ACCOUNT,
			false, NULL),
	ON_WORD(MASK_MAC_ADDRESS, DetectSpokenMac,
			"mac$|mac addr|hardware addr|physical addr|hwaddr$|ether$|"
			"ethernet addr|" LEX_MAC, false, NULL),
	ON_WORD(MASK_CRYPTO, DetectBech32, "bc1|tb1|ltc1|cosmos1", false, NULL),
	ON_WORD(MASK_JWT, DetectJwt, "ey|ewog|ew0K|ZXlK", true, NULL),
	ON_WORD(MASK_PRIVATE_KEY, DetectPem, "BEGIN ", true, NULL),
	ON_WORD(MASK_PRIVATE_KEY, DetectPutty, "Private-Lines$", true, NULL),
	ON_WORD(MASK_PRIVATE_KEY, DetectJwk, "kty$", true, NULL),
	ON_WORD(MASK_URL_CREDENTIALS, DetectThin, "thin:", false, NULL),
	ON_WORD(MASK_API_KEY, DetectAwsKey, "AKIA|ASIA|ABIA|ACCA|A3T", true, NULL),
	ON_WORD(MASK_ACCESS_TOKEN, DetectMaxmind, "mmk$", true, NULL),
	ON_WORD(MASK_ACCESS_TOKEN, DetectTerraform, "atlasv1.", true, NULL),
	ON_WORD(MASK_ACCESS_TOKEN, DetectAzureKey, "ASt|ABa|ARm|AEh|ASb|AMC", true,
			NULL),
	ON_WORD(MASK_ACCESS_TOKEN, DetectDiscord,
			"MT|MD|Mj|Mz|ND|NT|Nj|Nz|OD|OT", true, NULL),

	/* keys of providers of models */
	API("sk-ant-api03-|sk-ant-admin01-|sk-ant-", "-", 20, 200),
	API("sk-proj-|sk-svcacct-|sk-admin-|sk-None-", "-", 20, 300),
	API("sk-or-v1-|sk-or-", "-", 20, 200),
	API("sk-lf-|pk-lf-", "-", 20, 64),
	API("sk-", "-", 16, 300),
	API("xai-|gsk_|pplx-|csk-|nvapi-|tgp_v1_|pcsk_|tvly-|jina_|r8_|fw_|"
		"lsv2_pt_|lsv2_sk_|voyage-key-|together_|llx-|ark-", "-", 20, 200),
	API("pa-", "-", 43, 43),
	API("sess-", "w", 40, 40),
	API("wandb_v1_", "-", 60, 100),
	API("e2b_|sk_", "h", 40, 48),
	API("fc-", "h", 32, 32),
	API("mdb_sa_sk_", "-", 36, 48),
	API("apk_user_|apk_", "-", 60, 300),
	API("cog_", "w", 40, 80),
	API("hf_|api_org_", "w", 30, 64),
	API("AIza", "-", 35, 39),
	API("ABSK", "b", 90, 300),
	API("bedrock-api-key-", "b", 20, 4000),

	/* tokens of services */
	TOKEN("github_pat_", "-", 60, 100),
	TOKEN("ghs_", ".", 100, 1200),
	TOKEN("ghp_|gho_|ghu_|ghs_|ghr_", "w", 30, 255),
	TOKEN("glpat-|gldt-|glrt-|glcbt-|glft-|glimt-|glagent-|glsoat-|glffct-|"
		  "glwt-|glrtr-", ".", 18, 300),
	TOKEN("glptt-", "h", 40, 40),
	TOKEN("gloas-", "-", 64, 64),
	KEY(MASK_ACCESS_TOKEN, "GR1348941", "-", 20, 20, 2.9f),
	TOKEN("gitlab_session=", "w", 32, 64),
	TOKEN("xoxe.|xoxe-", "a", 12, 400),
	TOKEN("xoxb-|xoxp-|xoxs-|xoxo-|xapp-|xwfp-", ".", 12, 400),
	KEY(MASK_ACCESS_TOKEN, "xoxa-|xoxr-", "-", 8, 400, 1.0f),
	TOKEN("hooks.slack.com/services/|hooks.slack.com/workflows/|"
		  "hooks.slack.com/triggers/", "b", 40, 100),
	TOKEN("hooks.zapier.com/hooks/catch/|open.feishu.cn/open-apis/bot/v2/hook/|"
		  "open.larksuite.com/open-apis/bot/v2/hook/|webhook.site/|"
		  "hook.eu1.make.com/|hook.eu2.make.com/|hook.us1.make.com/|"
		  "hook.integromat.com/", "@", 16, 100),
	TOKEN("discord.com/api/webhooks/|discordapp.com/api/webhooks/", "b", 60,
		  120),
	TOKEN("sk_live_|sk_test_|sk_prod_|rk_live_|rk_test_|rk_prod_|pk_live_|"
		  "pk_test_|ak_live_|ak_test_", "w", 10, 200),
	TOKEN("whsec_", "b", 10, 200),
	TOKEN("npm_", "w", 36, 40),
	TOKEN("pypi-AgE", "-", 50, 1000),
	TOKEN("SG.", ".", 50, 80),
	TOKEN("ya29.|1//0", "-", 20, 400),
	TOKEN("GOCSPX-", "-", 24, 40),
	TOKEN("EAAA|EAAC|EAAM", "-", 20, 300),
	TOKEN("EAA", "w", 90, 500),
	TOKEN("sq0atp-|sq0csp-", "-", 22, 60),
	TOKEN("shpat_|shpca_|shppa_|shpss_", "w", 32, 64),
	KEY(MASK_ACCESS_TOKEN, "AGE-SECRET-KEY-1", "u", 58, 58, 0),
	TOKEN("eyJrIjoi", "b", 60, 400),
	TOKEN("ATATT3|ATCTT3|ATBB", "-", 28, 240),
	TOKEN("AKCp", "w", 60, 80),
	TOKEN("cmVmd", "w", 59, 59),
	TOKEN("LTAI|STS.", "w", 12, 30),
	TOKEN("AKID|cio", "w", 32, 32),
	TOKEN("PLAK", "h", 32, 32),
	KEY(MASK_ACCESS_TOKEN, "b_", "-", 44, 46, 3.5f),
	TOKEN("y0_|y1_|y2_|y3_", "-", 50, 64),
	TOKEN("rzp_live_|rzp_test_", "w", 14, 20),
	TOKEN("pat-na1-|pat-eu1-|pat-na2-", "-", 36, 36),
	TOKEN("dapi", "h", 32, 32),
	TOKEN("authress_|scauth_|ext_|sc_", "a", 60, 160),
	TOKEN("sk_|pk_|rk_|ak_", "w", 24, 120),
	TOKEN("dop_v1_|doo_v1_|dor_v1_", "h", 64, 64),
	TOKEN("dp.pt.|dp.st.|dp.sa.|dp.ct.|dp.scim.|dp.audit.", ".", 40, 80),
	TOKEN("dt0c01.", ".", 80, 120),
	TOKEN("duffel_test_|duffel_live_", "-", 43, 43),
	TOKEN("EZAK|EZTK", "w", 54, 54),
	TOKEN("fo1_|fm1_|fm1a_|fm1r_|fm2_", "b", 40, 800),
	TOKEN("fio-u-", "-", 64, 64),
	TOKEN("FLWPUBK_TEST-|FLWSECK_TEST-|FLWPUBK-|FLWSECK-", "-", 12, 60),
	KEY(MASK_ACCESS_TOKEN, "glc_|glsa_", "b", 30, 400, 2.9f),
	TOKEN("HRKU-", "-", 36, 70),
	TOKEN("ico-", "w", 32, 32),
	TOKEN("lin_api_|lin_oauth_", "w", 40, 64),
	TOKEN("NRAK-|NRII-|NRJS-|NRAA-|NRBR-", "-", 19, 40),
	TOKEN("ntn_", "w", 40, 60),
	TOKEN("PMAK-", "-", 50, 70),
	TOKEN("PMAT-", "u", 26, 26),
	TOKEN("CFPAT-", "-", 40, 64),
	TOKEN("SWMTKN-1-|SWMKEY-1-", "-", 40, 90),
	TOKEN("CCDB1_", "-", 40, 80),
	TOKEN("AIK_SECRET_|AIK_CLIENT_", "w", 24, 120),
	TOKEN("vcp_|vci_|vca_|vcr_|vck_", "w", 24, 64),
	TOKEN("key_|tok_", "h", 64, 64),
	TOKEN("slk_", "h", 64, 64),
	TOKEN("cosmo_", "h", 32, 32),
	TOKEN("sb_secret_", "-", 22, 60),
	TOKEN("re_", "-", 33, 40),
	TOKEN("IGQV", "-", 100, 300),
	/* seeds of NATS */
	TOKEN("SUA|SAA|SOA|SNA|SCA", "u", 55, 55),
	TOKEN("TlRMTVNTUA", "b", 40, 2000),
	TOKEN("BBFF-", "w", 30, 36),
	TOKEN("NF-|scp-live-|scp-test-|pri_", "h", 32, 32),
	TOKEN("VF.DM.|VF.WS.|tkn.v1_", ".", 36, 100),
	TOKEN("pnu_|pnb_", "w", 36, 36),
	TOKEN("pul-", "h", 40, 40),
	TOKEN("pscale_tkn_|pscale_pw_|pscale_oauth_", ".", 30, 70),
	TOKEN("rdme_", "w", 70, 70),
	TOKEN("rubygems_", "h", 48, 48),
	TOKEN("sm_aat_|sm_pat_|sm_sat_", "w", 16, 16),
	TOKEN("sntrys_", "b", 60, 400),
	TOKEN("sntryu_", "h", 64, 64),
	TOKEN("shippo_live_|shippo_test_", "h", 40, 40),
	TOKEN("tfp_", ".", 40, 60),
	TOKEN("tk-us-", "-", 48, 48),
	TOKEN("hvs.|hvb.|hvr.", "-", 24, 300),
	KEY(MASK_ACCESS_TOKEN, "s.|b.", "-", 90, 300, 4.0f),
	TOKEN("xkeysib-|xsmtpsib-", "-", 60, 100),
	TOKEN("CLOJARS_", "w", 60, 60),
	TOKEN("dnkey-", "-", 70, 90),
	TOKEN("A3-", "-", 30, 44),
	/* a PEM private key in base64 */
	KEY(MASK_PRIVATE_KEY, "LS0tLS1CRUdJTiBSU0EgUFJJVk|"
		"LS0tLS1CRUdJTiBQUklWQVRF|LS0tLS1CRUdJTiBFQyBQUklWQV|"
		"LS0tLS1CRUdJTiBPUEVOU1NI|LS0tLS1CRUdJTiBEU0EgUFJJVk|"
		"LS0tLS1CRUdJTiBFTkNSWVBU", "b", 60, 16000, 2.5f),
	TOKEN("ops_eyJ", "b", 200, 2000),
	KEY(MASK_ACCESS_TOKEN, "sha256~", "-", 40, 43, 3.5f),
	TOKEN("dckr_pat_|dckr_oat_", "-", 24, 60),
	TOKEN("figd_|figo_", "-", 36, 60),
	TOKEN("AQVN", "-", 35, 40),
	KEY(MASK_ACCESS_TOKEN, "YC", "-", 38, 38, 3.0f),
	TOKEN("pubkey-|key-", "h", 32, 64),
	TOKEN("SK|AC", "h", 32, 32),
	TOKEN("secret_", "w", 43, 43),
	TOKEN("patl|pat1|PAT1", ".", 70, 90),
	TOKEN("pk.eyJ|sk.eyJ", ".", 60, 200),
	TOKEN("v1.0-", "-", 150, 180),
	TOKEN("t1.", ".", 86, 300),
	TOKEN("live_|test_", "-", 32, 44),
	TOKEN("access-sandbox-|access-development-|access-production-", "-", 36,
		  36),
	TOKEN("s-s4t2ud-|s-s4t2af-", "h", 64, 64),
	TOKEN("CCIPAT_|CCIPRJ_", "-", 60, 90),
	TOKEN("API-", "u", 25, 27),
	TOKEN("p8e-", "w", 32, 32),
	TOKEN("sgp_", "-", 40, 64),
	TOKEN("pat.|sat.", ".", 66, 70),
	KEY(MASK_ACCESS_TOKEN, "s.", "w", 24, 24, 3.5f),
	TOKEN("sl.", "-", 130, 140),
	KEY(MASK_ACCESS_TOKEN, "squ_|sqp_|sqa_", "h", 40, 40, 3.0f),
	TOKEN("aio_", "w", 28, 28),
	TOKEN("odt_", "w", 32, 40),
	TOKEN("oy2", "w", 43, 43),
	TOKEN("NRIQ-|NRRA-|NRAL-", "-", 32, 42),
	TOKEN("px-api-|px-dep-", "-", 36, 36),
	TOKEN("apify_api_", "-", 30, 40),
	TOKEN("rootly_|sbs_|sbp_v0_", "h", 40, 64),
	TOKEN("sbp_", "w", 40, 40),
	TOKEN("pat", ".", 77, 80),
	TOKEN("amzn.mws.|amzn1.oa2-cs.v1.", "-", 36, 80),
	TOKEN("cfk_|cfut_|cfat_", "w", 40, 60),
	TOKEN("spu-", "h", 32, 32),
	TOKEN("api-", "h", 32, 36),
	TOKEN("endr+", "w", 16, 16),
	TOKEN("pgar_|pganalyze_", "w", 27, 40),
	TOKEN("napi_|nfp_|nfc_|nfo_|nfu_", "w", 36, 64),
	TOKEN("rnd_", "w", 28, 32),
	TOKEN("phc_|phx_|phs_|phr_|pha_", "-", 36, 64),
	TOKEN("dt0s01.|dt0s08.|dt0s16.|dt0e01.", ".", 80, 120),
	TOKEN("sq0atb-|sq0idb-|sandbox-sq0atb-", "-", 22, 60),
	TOKEN("rpa_|rps_", "w", 36, 46),
	TOKEN("tskey-auth-|tskey-api-|tskey-client-|tskey-webhook-|tskey-scim-",
		  "-", 20, 60),
	TOKEN("bkua_|bkct_|bkaj_", "w", 40, 40),
	TOKEN("shpua_|shptka_", "h", 32, 32),
	TOKEN("waka_", "-", 36, 36),
	TOKEN("xoxd-", "b", 60, 400),
	TOKEN("AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ASCA", "u", 16, 16),
	TOKEN("AAPKf|AAPTx", "-", 60, 120),
	TOKEN("sk_pr_|sandbox_sk_pr_", "-", 40, 60),
	TOKEN("softlayer.com/soap/v3/|softlayer.com/soap/v3.1/", "w", 64, 64),
	TOKEN("webhook.office.com/webhookb2/|outlook.office.com/webhook/", "@", 70, 300),
};

const int	DetectorCount = sizeof(DetectorTable) / sizeof(DetectorTable[0]);
