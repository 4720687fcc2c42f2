"""Tells an ask from a bare "yes, go on", and a complaint about the last answer from both.

"Yes" after a hard question is not an easy ask: it means the hard one. So is "that's wrong".
"""

BARE_WORDS_MAX = 7
BARE_CHARS_MAX = 80  # longer messages say something of their own
COMPLAINT_CHARS_MAX = 400  # where a complaint stands; the rest is material

# English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish, Russian,
# Chinese, Japanese, Korean, Arabic, Hindi.
_GO_ON_WORDS = """
yes yeah yep yup ok okay sure please go on ahead continue continues proceed more next keep
going do it that this so right correct exactly agreed fine good great perfect now then and
carry finish ja genau gerne bitte weiter mach machen weitermachen fortfahren fahre fort klar
gut jawohl oui d accord continuez vas y allez suite la suivant bien sûr parfait poursuis sí
si vale claro sigue continúa continua adelante dale siguiente por favor bueno perfecto sì
certo avanti prosegui procedi va bene perfetto continuare sim prossiga pode seguir segue
isso faça faz ga door verder graag prima tak dalej kontynuuj dobrze proszę evet devam et
tamam lütfen да давай дальше продолжай продолжайте хорошо пожалуйста 继续 好 好的 是 是的 可以 请继续 はい
続けて 続きを お願いします 네 계속 계속해 좋아요 نعم تابع أكمل استمر हाँ हां जारी रखें
"""
_GO_ON = frozenset(_GO_ON_WORDS.split())
_COMPLAINT_WORDS = """
no nope not wrong incorrect again try retry redo still that s is thats it isn t doesn work
works working nein falsch nochmal noch einmal mal das ist nicht stimmt versuch versuche es
non faux encore réessaie essaie une fois c est pas incorrecte incorrecto otra vez intenta
inténtalo de nuevo eso sbagliato errato riprova ancora di nuovo errado incorreto novamente
tente tenta está não нет неправильно ещё раз 不对 错了 再试一次 違います
"""
_COMPLAINT = frozenset(_COMPLAINT_WORDS.split())
_COMPLAINT_PHRASES = (
    *("that's wrong", "thats wrong", "that is wrong", "is wrong", "is incorrect", "not correct"),
    *("that's not", "that is not what", "not what i asked", "doesn't work", "does not work"),
    *("didn't work", "did not work", "not working", "still fail", "still not", "still wrong"),
    *("still get", "try again", "you misunderstood", "you made a mistake", "same error", "not right"),
    *("stimmt nicht", "ist falsch", "nicht richtig", "funktioniert nicht", "geht nicht"),
    *("noch einmal", "nochmal", "immer noch"),
    *("c'est faux", "ce n'est pas", "ne marche pas", "ne fonctionne pas", "réessaie", "toujours pas"),
    *("está mal", "no funciona", "es incorrecto", "no es correcto", "otra vez", "de nuevo"),
    *("è sbagliato", "non funziona", "non è corretto", "riprova", "di nuovo"),
    *("está errado", "não funciona", "não está certo", "tente novamente"),
    *("не работает", "неправильно", "不对", "错了", "違います", "틀렸"),
)
_MARKS = str.maketrans(dict.fromkeys(".,;:!?…'’\"()-。！？、，", " "))


def is_bare(text: str) -> bool:
    """Say whether a message only sends the reader back to the ask before it."""
    if len(text) > BARE_CHARS_MAX:
        return False
    words = text.lower().translate(_MARKS).split()
    if len(words) > BARE_WORDS_MAX:
        return False
    return all(word in _GO_ON or word in _COMPLAINT for word in words)


def complains(text: str) -> bool:
    """Say whether a message calls the answer before it wrong, or asks for it once more."""
    words = text[:COMPLAINT_CHARS_MAX].lower().replace("’", "'")
    return any(phrase in words for phrase in _COMPLAINT_PHRASES)
