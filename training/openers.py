"""How asks begin and point: question words, greetings, "these". Languages as in `cues`."""

_QUESTION_OPENERS = """
what whats who when where which whose is are does do did was were can has have how wer wann
wo welche welcher welches wie wieviel ist sind gibt hat kann qui quand où quel quelle quels
quelles combien est y quoi qué quién cuándo dónde cuál cuánto cuánta cuántos cuántas cómo
hay es chi quando dove quale quanto quanti quante cosa qual quem onde quantos quantas existe
wat waar wanneer welke hoeveel kto kiedy gdzie ile jaka jaki kim nerede кто когда где какой
какая сколько что как
"""
_GREETINGS = """
hi hello hey thanks thank thx yo howdy good hallo moin servus danke grüezi guten bonjour
bonsoir salut merci coucou hola gracias buenos buenas ciao grazie buongiorno buonasera salve
olá oi obrigado obrigada bom boa привет здравствуйте спасибо hoi dag dank cześć dzień
dziękuję merhaba selam teşekkürler ok okay cool great nice perfect yes no bye
"""

# A question of fact begins with one of these; later in a sentence they say little.
QUESTION_OPENERS = frozenset(_QUESTION_OPENERS.split())
HOW_OPENERS = frozenset({"how", "wie", "comment", "cómo", "come", "como", "hoe", "как"})
GREETINGS = frozenset(_GREETINGS.split())
IF_OPENERS = frozenset({"if", "suppose", "wenn", "falls", "angenommen", "si", "se", "imagine"})
YES_NO_OPENERS = frozenset({"is", "are", "does", "do", "did", "ist", "sind", "est", "es", "è", "é"})

_WOULD = "would could würde würden wäre wären könnte serait seraient pourrait sería serían sarebbe seria"
_THESE = """
this these following below diese dieser dieses diesem diesen folgende folgenden folgendem ce cet
cette ces suivant suivante este esta estos estas siguiente questo questa questi queste seguente
"""
WOULD = frozenset(_WOULD.split())
THESE = frozenset(_THESE.split())

# German compounds carry the task in their last part.
ENDINGS = {
    "plan": "planning",
    "konzept": "planning",
    "geschichte": "creative",
    "gedicht": "creative",
    "märchen": "creative",
    "funktion": "code",
    "skript": "code",
    "abfrage": "code",
    "mail": "drafting",
    "brief": "drafting",
    "schreiben": "drafting",
    "zusammenfassung": "summarising",
    "vergleich": "analysis",
    "rätsel": "reasoning",
}
