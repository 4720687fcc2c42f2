"""What the customers of a demo ask: templates by kind of work, in several languages. Data, no logic."""

from collections.abc import Mapping
from typing import Any, Final, Literal

Kind = Literal[
    "question", "label", "extract", "translate", "small talk", "summary", "draft", "explain", "code", "sums",
    "proof", "plan", "story",
]  # fmt: skip
"""The asker's word for a request; the product judges by itself and never sees it."""

_ARTICLE: Final = (
    "The council of {city} voted on Tuesday to extend the tram line to the airport. The project will cost {amount} "
    "million and take four years. Residents of the northern districts had asked for it for a decade, while shop owners "
    "along the route worry about noise and dust during construction. The mayor promised weekly reports and a fund for "
    "those who lose trade. Two of the five bridges must be rebuilt first, which begins in spring."
)
_MAIL: Final = (
    '"Hello, this is {name}. My order {order} of a {product} has not come, although it should have been in {city} on '
    'the 14th. Please send it again or return the {amount} euros I paid."'
)
_REFACTOR: Final = (
    "Refactor this module to remove the global state, keep the public API, support concurrent callers and add type "
    "hints everywhere. It must run on Python 3.11 and 3.13 without extra dependencies."
)
_DEADLOCK: Final = (
    "This worker pool deadlocks under load about once a day. Find the race condition, explain it step by step and "
    "rewrite it so that {amount} threads are safe:\n"
    "```python\nwith lock:\n    queue.put(job)\n    event.wait()\n```"
)

PROMPTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "question": (
        "What is the capital of Australia?",
        "How do I reset my password?",
        "Do you ship to {city}?",
        "Can I return a {product} after 30 days?",
        "What are your opening hours in {city} on Sundays?",
        "Wie kann ich meine Rechnung herunterladen?",
        "Was kostet der Versand nach {city}?",
        "Comment puis-je annuler mon abonnement ?",
        "Quelle est la population du Portugal ?",
        "¿Dónde puedo ver mi pedido {order}?",
        "Come posso cambiare la mia password?",
        "Qual é o prazo de entrega para {city}?",
        "日本の首都はどこですか？",
    ),
    "label": (
        'Classify the sentiment of this review as positive, negative or neutral: "The {product} came late and broken."',
        'Is this email spam or not? "Congratulations {name}, you have won {amount} euros, click here"',
        'Label this message as urgent or not urgent: "Order {order} is stuck in customs in {city}"',
        'Bestimme die Sprache dieses Textes: "Ik heb vandaag geen tijd, groeten uit {city}."',
        'Clasifica este comentario como positivo o negativo: "El {product} es excelente, gracias {name}"',
    ),
    "extract": (
        "Extract name, order number and amount from this message as JSON: " + _MAIL,
        "List all names and places mentioned in this text: " + _MAIL,
        'Extrae el número de pedido: "Mi pedido {order} no ha llegado a {city}"',
        'Corrige les fautes : "Je suis aller à {city} hier avec {name}."',
        "Korrigiere die Rechtschreibung: Ich habe gestern in {city} ein {product} gekaufft.",
    ),
    "translate": (
        "Translate into German: the meeting with {name} was moved to Thursday.",
        "Traduci in inglese: il pagamento di {amount} euro è stato rifiutato dalla banca.",
        "Traduis en anglais : je voudrais réserver une table pour deux à {city}.",
        "Übersetze ins Englische: Ihr Paket {order} liegt zur Abholung bereit.",
        "Traduza para o inglês: o pedido {order} foi enviado para {city}.",
    ),
    "small talk": (
        "Hello there!",
        "Good morning! How are you today?",
        "Hallo, wie geht's?",
        "Bonjour, ça va ?",
        "¡Hola! ¿Qué tal?",
        "thanks, that helped a lot",
    ),
    "summary": (
        "Summarize the following article in three bullet points:\n\n" + _ARTICLE,
        "Fasse diesen Artikel in zwei Sätzen zusammen:\n\n" + _ARTICLE,
        "Résume ce texte en une phrase :\n\n" + _ARTICLE,
        "Give me the key points of this article for {name}:\n\n" + _ARTICLE,
    ),
    "draft": (
        "Write a polite email to {name} who is waiting for order {order}.",
        "Write a product description for a {product}.",
        "Write a LinkedIn post announcing that we are hiring engineers in {city}.",
        "Formuliere eine höfliche Absage an {name}, die sich in {city} beworben hat.",
        "Escreva uma mensagem para convidar {name} para um churrasco em {city}.",
    ),
    "explain": (
        "Explain how a heat pump works and when it pays off.",
        "Compare renting and buying a flat in {city}, with advantages and disadvantages.",
        "Explique la différence entre une SARL et une SAS.",
        "Erkläre mir, wie ein Kühlschrank funktioniert.",
    ),
    "code": (
        "Write a Python function that parses order numbers such as {order} out of a log file.",
        "Write a bash script that renames all .txt files in a folder to .md.",
        "Write a SQL query that lists the ten customers in {city} with the highest revenue.",
        _REFACTOR,
        _DEADLOCK,
    ),
    "sums": (
        "A {product} costs {amount} euros after a discount of 15 %. What did it cost before?",
        "Solve for y: 2y - 8 = 3(y + 1)",
        "Un rectángulo tiene 8 cm de largo y 5 cm de ancho. ¿Cuál es su perímetro?",
    ),
    "proof": (
        "Prove that there are infinitely many prime numbers of the form 4k + 3.",
        "Prove by induction that the sum of the first n odd numbers is n squared, and say where each step is used.",
        "Find all functions f on the reals such that f(x+y) = f(x) + f(y) + 2xy, and show that there are no others.",
        "Beweise, dass die Wurzel aus 2 irrational ist.",
    ),
    "plan": (
        "How should we phase the migration of {amount} services to Kubernetes without blocking releases?",
        "Design the architecture of a payment system that survives the loss of a data centre; weigh the trade-offs.",
        "Plan the launch of our {product} in {city} over six weeks with a budget of {amount} thousand euros.",
        "Erstelle einen Projektplan mit Meilensteinen für den Umzug unseres Büros nach {city}.",
    ),
    "story": (
        "Write a short story about a lighthouse keeper in {city} who collects {product}s.",
        "Write a one-act play about {name} and a stranger stuck in an elevator.",
        "Dichte eine Ballade über einen alten Seemann aus {city}.",
    ),
}

CITIES: Final = ("Oslo", "Lisbon", "Leeds", "Bologna", "Ghent", "Graz", "Porto", "Cork", "Lyon", "Riga")
PRODUCTS: Final = ("kettle", "bamboo toothbrush", "desk lamp", "bicycle pump", "backpack", "teapot", "radio")
NAMES: Final = ("Anna", "Peter", "Lara", "Okafor", "Inès", "Mateo", "Yuki", "Priya", "Jonas", "Zofia")

TOOLS: Final[tuple[dict[str, Any], ...]] = (
    {
        "type": "function",
        "function": {
            "name": "search_tickets",
            "description": "Search the issue tracker.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "read_file",
            "description": "Read a file of the repository.",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
        },
    },
)
"""What an assistant for engineers may call."""

SCHEMA: Final[dict[str, Any]] = {
    "type": "json_schema",
    "json_schema": {
        "name": "message",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "order": {"type": "string"},
                "amount_eur": {"type": "number"},
            },
            "required": ["name", "order", "amount_eur"],
            "additionalProperties": False,
        },
    },
}
"""The form an extraction must have."""
