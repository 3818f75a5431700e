/*
 * lexicon.h
 *	  Words beyond ASCII that the scanner knows: Russian, Kazakh and a few of
 *	  other languages, folded to small letters.
 *
 * They live in macros because the layout tool breaks other scripts in code.
 * In lists, '|' separates, '$' demands the word's end, and a space stands for
 * any separator or none.  Their English neighbours are where they are used.
 */
#ifndef LLM_AUDIT_MASK_LEXICON_H
#define LLM_AUDIT_MASK_LEXICON_H

#define LEX_CARD \
	"карта|карты|карте|карту|картой|карточк|картам|картк|карт$|" \
	"мир$|картас|картан"
#define LEX_IBAN "ибан|жск$|иик$|бсшк"
#define LEX_IIN \
	"иин|жсн|индивидуальный идентиф|индивидуального идентиф|" \
	"жеке сәйкест|и.и.н"
#define LEX_BIN "бин$|бсн$"
#define LEX_INN "инн|номер налогоплат"
#define LEX_SNILS "снилс|пенсионн"
#define LEX_PHONE \
	"тел|моб|сот$|сотов|звон|позвон|созвон|факс|ватсап|вотсап|" \
	"вайбер|смс|номер тел|связ|контакт|нөмір|қоңырау|хабарлас|" \
	"ұялы|байланыс|móvil|téléphone|teléfono|telemóvel|городск|перезвон|дозвон|вацап|мой номер$|" \
	"менің нөмірім"
#define LEX_SIGN "№"
#define LEX_NUMBER_WORD "номер"
#define LEX_NUMBER "номер$|номеру$|номером$|нөмірі|нөмірім"
#define LEX_PASSPORT "паспорт|төлқұжат|загранпаспорт|серия$|серии$"
#define LEX_LICENSE "водительск|вод уд|жүргізуші|ву$"
#define LEX_BIRTH \
	"дата рожд|рожд|родил|туған|туылған|г.р.|др$|д.р.|д/р|" \
	"né le|née le|doğum|født|född|род."
#define LEX_BORN "г.р.|г. р.|года рожд|туған|туылған"
#define LEX_YEAR "жыл"
#define LEX_ACCOUNT "счет|счёт|счета|счёта|счету|шот|р/с$|л/с$"
#define LEX_NATIONAL \
	"henkilötunnus|fødselsn|sécurité sociale|numéro national|rodné|" \
	"rč$|егн$|αμκα|תעודת זהות|рнокпп|іпн$"
#define LEX_DOCUMENT \
	"удостоверен|уд. личн|жеке куәл|куәлік|документ|құжат|удл$|удв$"
#define LEX_PLAIN \
	"сумм|цен|заказ|итог|баланс|тенге|руб|версия|стр$|год$|" \
	"страниц|договор|заявк|обращен|накладн|артикул|рейс|квитанц|" \
	"тапсырыс|шарт$|счет-фактур|счёт-фактур|трек|" \
	"штрихкод|штрих-код"
#define LEX_PASSWORD "парол|құпиясөз|құпиясоз"
#define LEX_PASSWORD_SPACED "құпия сөз"
#define LEX_WORD "сөз"
#define LEX_SECRET_WORD "құпия"
#define LEX_SECRET "ключ|токен|секрет|кілт"
#define LEX_CODE_WORD \
	"кодовое слово|кодовая фраза|кодовую фразу|секретное слово|" \
	"секретная фраза|код доступа|пасс$|кілт сөз|құпия код"
#define LEX_ACCOUNTS \
	"учетка|учётка|учетку|учётку|учетные данные|учётные данные|" \
	"доступы|доступ$|логин/пароль|логин и пароль|логин-пароль|" \
	"логин пароль|логин құпия сөз|данные для входа|реквизиты доступа"
#define LEX_NOT "не |нет |из |это |или |если |чтобы |емес "
#define LEX_TO "для |к |на |от |по "
#define LEX_SUCH "такой|является|был|будет|стал|болды|деген"
#define LEX_IS "это "
#define LEX_PIN \
	"пин$|пин код|пинкод|пин-код|смс код|смс-код|код из смс|" \
	"код подтвержд|одноразовый код|растау коды|pin-код|sms-код|sms код"
#define LEX_CODE "код"
#define LEX_VERSION "верси"
#define LEX_PARAGRAPH "§"
#define LEX_CLAUSE_SHORT "п"
#define LEX_MAC "мак адрес|mac адрес"
#define LEX_CHAPTER "раздел"
#define LEX_CLAUSE "пункт"
#define LEX_EXTENSION "доб"
#define LEX_NO_NAME "не на как по тоже такое "
#define LEX_VOWELS "а я о е ы и й ь у ю ә і"
#define LEX_MY_NAME "меня зовут|мое имя|моё имя|менің атым|менин атым|атым$"
#define LEX_TITLE \
	"г-н|г-жа|господин$|госпожа$|гражданин$|гражданка$|мырза|" \
	"ханым"
#define LEX_FULL_NAME "фио$|фамилия$|отчество$|аты-жөні$|тегі$|есімі$"
#define LEX_NAME "имя$|клиент$"

/*
 * Endings of declension, Russian and Kazakh, of up to four letters: what a
 * term of a dictionary may have behind it.
 */
#define LEX_ENDINGS \
	"а|у|е|ы|и|я|ю|о|ё|ь|й|ом|ем|ём|ым|им|ам|ям|ах|ях|ой|ей|ою|ею|ов|ев|" \
	"ых|их|ую|юю|ая|яя|ое|ее|ые|ие|ый|ий|ью|ия|ии|ию|ого|его|ому|ему|ыми|" \
	"ими|ами|ями|иям|иях|ией|" \
	"ға|ге|қа|ке|на|не|ны|ні|ды|ді|ты|ті|да|де|та|те|нда|нде|дан|ден|тан|" \
	"тен|нан|нен|мен|бен|пен|ның|нің|дың|дің|тың|тің|лар|лер|дар|дер|тар|" \
	"тер|дікі|нікі|тікі|ларға|дарға|тарға|і|сы|сі|сын|сін"

#endif
