"""The words that speak for a task, as data.

Weights are quarters, so that sums are exact and do not depend on the order of addition.
English first in each list, then German, French, Spanish, Italian, Portuguese, and where a word
is common in chats, Dutch, Polish, Turkish and Russian.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that speak for one thing.

    Attributes:
        name: A task, or a sign of difficulty (`sign_cues.SIGNS`).
        weight: How strongly each distinct word speaks for it.
        words: Lower-case words, separated by spaces.
        phrases: Lower-case phrases of words, separated by semicolons.
    """

    name: str
    weight: float
    words: str = ""
    phrases: str = ""


TASK_CUES = (
    Cue(
        "translation",
        3.0,
        "translate translation translating übersetze übersetzen übersetzung übersetz traduis "
        "traduire traduisez traduction traduce traducir traduzca traducción tradúceme traduci "
        "tradurre traduzione traduza traduzir tradução traduz vertaal vertalen przetłumacz "
        "çevir tercüme переведи переведите перевод",
        "how do you say; how do i say; how would you say; wie sagt man; comment dit on; cómo "
        "se dice; come si dice; como se diz; what does mean in english; into english; into "
        "german; into french; into spanish; ins deutsche; ins englische; en anglais; al "
        "inglés; al español; in inglese; para o inglês",
    ),
    Cue(
        "classification",
        3.0,
        "zuordnen einordnen classify categorize categorise classification klassifiziere "
        "klassifizieren kategorisiere classe classez catégorise clasifica clasificar "
        "classifica classificare classifique",
        "true or false; spam or not; is this spam; positive or negative; positive negative or "
        "neutral; positive neutral or negative; which category; which label; what category; "
        "assign a label; assign one of; label each; label the; label this; tag each; tag "
        "this; yes or no; answer with one word; positiv oder negativ; positif ou négatif; "
        "positivo o negativo; positivo ou negativo; welche kategorie; quelle catégorie; qué "
        "categoría; quale categoria; qual categoria; what language is; route this; one of the "
        "following categories; ja oder nein; oui ou non; decide whether; decide if; determine "
        "whether; choose the best; choose one; pick one; one of; belongs to; belong to; ordne "
        "diese; ordne die; ordne den; gehört zu; appartient; pertenece; appartiene; pertence; "
        "which of these categories; is this review; ist diese; ist dieser",
    ),
    Cue(
        "classification",
        1.5,
        "sentiment spam label labels category categories kategorie kategorien toxic urgent "
        "stimmung catégorie sentimiento categoría intent priority",
    ),
    Cue(
        "extraction",
        3.0,
        "correct anonymize anonymise redact extract extracting extrahiere extrahieren extrais "
        "extraire extraé extrae extraer estrai estrarre extraia extrair proofread capitalize "
        "alphabetize deduplicate alphabetical",
        "pull out; list all the; list all; find all; pick out; give me all the; ziehe heraus; "
        "all the names; all email; all dates; correct the spelling; fix the spelling; fix "
        "typos; fix the typos; check the spelling; spell check; fix the grammar; correct the "
        "grammar; fix grammar; grammar and spelling; spelling mistakes; as json; to json; as "
        "csv; to csv; into a table; in a table; as a table; bullet points from; "
        "rechtschreibung; corrige les fautes; corrige l orthographe; corrige la ortografía; "
        "faltas de ortografía; correggi gli errori; corrija os erros; als tabelle; en "
        "tableau; sort the following; sort this list; sort these; uppercase; lower case; "
        "title case; reformat this; format this; convert to json; korrigiere die; liste alle; "
        "remove duplicates; remove the duplicates; in eine tabelle; from this text; from the "
        "text; from the following; in this text; in this message; in the text below; "
        "mentioned in; from this; on this receipt; in diesem text; aus dem text; aus diesem; "
        "dans ce texte; de ce texte; en este texto; del texto; in questo testo; dal testo; "
        "neste texto; do texto; as a list; nenne alle; trouve les; get the; out of this; "
        "markdown table; names of; ordre alphabétique; orden alfabético",
    ),
    Cue(
        "extraction",
        1.5,
        "json csv spelling typos grammar fields reformat sort convert parse invoice "
        "orthographe ortografía ortografia rechtschreibfehler korrigiere corrige corriger "
        "correggi corrija",
        "date and amount; names and; phone numbers; email addresses",
    ),
    Cue(
        "summarising",
        3.0,
        "abstract synthèse shorten synthesis overview kürze gekürzt summarize summarise "
        "summary summarizing summarising summaries tldr recap condense gist fasse "
        "zusammenfassen zusammenfassung zusammen résume résumer résumez résumé resumir "
        "resumen resúmeme riassumi riassumere riassunto sintetizza resuma resumo resume "
        "synthétise samenvatten samenvatting podsumuj streszczenie özetle özet кратко "
        "резюмируй summarised summarized",
        "key points; main points; key takeaways; main ideas; boil down; shorten this; make "
        "this shorter; in a nutshell; tl dr; minutes of; meeting notes; action items; "
        "wichtigsten punkte; points clés; puntos clave; punti chiave; pontos principais; "
        "résumé de; una síntesis; übersicht über",
    ),
    Cue(
        "drafting",
        2.0,
        "friendlier politer advert ansprache laudatio invite reseña anzeige annonce anuncio "
        "annuncio draft email e-mail mail letter reply memo newsletter announcement press cv "
        "resumé blog tweet linkedin caption invitation agenda report reword rephrase rewrite "
        "paraphrase polish proposal bio description resume testimonial apology complaint "
        "entwurf entwirf formuliere formulieren umformulieren brief antwort bewerbung "
        "anschreiben rédige rédiger rédigez courriel lettre reformule redacta redactar correo "
        "carta respuesta reescribe redigi lettera riscrivi bozza redija rascunho reescreva "
        "resposta письмо",
        "cover letter; blog post; social media post; product description; press release; job "
        "description; job posting; thank you note; write an email; write a message; out of "
        "office; make it sound; sound more; more polite; more formal; more professional; "
        "lettre de motivation; carta de presentación; lettera di presentazione; carta de "
        "apresentação; follow up; make this sound; text for; a text; un texte; einen text; un "
        "texto; un testo; um texto; a message; job ad; sound like",
    ),
    Cue(
        "drafting",
        1.0,
        "write compose writing schreibe schreib verfasse écris écrire écrivez schreiben "
        "scrivi escribe escribir escriba scrivere escreva escrever schrijf napisz yaz напиши "
        "напишите post message article essay nachricht artikel beitrag artículo articolo "
        "artigo mensaje messaggio mensagem improve verbessere améliore mejora migliora "
        "melhore wording",
    ),
    Cue(
        "analysis",
        2.5,
        "differences difference advantages disadvantages advantage vorteile nachteile "
        "avantages inconvénients ventajas desventajas vantaggi svantaggi vantagens "
        "desvantagens unterschiede diferencias differenze diferenças analyze analyse analysis "
        "compare comparison contrast evaluate assess assessment critique review examine "
        "interpret explain explains explaining evaluation analysiere analysieren vergleiche "
        "vergleich bewerte bewerten beurteile erkläre erklären erklär erläutere untersuche "
        "comparez comparer évalue évaluer explique expliquez expliquer analiza analizar "
        "compara comparar evalúa explica explicar explícame analizza confronta valutare "
        "spiega spiegare spiegami analise analisar avalie uitleggen leg wyjaśnij açıkla "
        "объясни объясните сравни risks affect affects effects influence influences "
        "consequences impact ursachen auswirkungen conséquences effets efectos consecuencias "
        "effetti conseguenze efeitos",
        "advantages and disadvantages; strengths and weaknesses; what are the implications; "
        "difference between; differences between; swot; what went wrong; how does work; vor "
        "und nachteile; vorteile und nachteile; unterschied zwischen; avantages et "
        "inconvénients; différence entre; ventajas y desventajas; diferencia entre; pro e "
        "contro; vantaggi e svantaggi; differenza tra; prós e contras; diferença entre; what "
        "do you think about; give me feedback; was spricht für; what could be the; which is "
        "better; how does a; how do the; works internally; under the hood",
    ),
    Cue(
        "analysis",
        4.0,
        "",
        "pros and cons; difference between; differences between; strengths and weaknesses; "
        "pour et le contre; pros y contras; main differences; compare and contrast",
    ),
    Cue(
        "analysis",
        1.0,
        "why warum wieso weshalb pourquoi comment perché porquê feedback insights trends "
        "impact discuss causes reasons cause ursachen gründe razones ragioni describe "
        "beschreibe décris descrivi descreva recommend recommendation risks advice should",
        "por qué; por que; como funciona; wie funktioniert; comment fonctionne; come "
        "funziona; cómo funciona; tell me about",
    ),
    Cue(
        "code",
        2.0,
        "python javascript typescript java rust golang kotlin swift c++ c# php ruby sql bash "
        "regex html css div react django flask docker kubernetes git api function code script "
        "bug debug refactor compile compiler stacktrace traceback exception unittest pytest "
        "query dataframe pandas numpy algorithm recursion leetcode endpoint repo repository "
        "codebase typeerror valueerror nullpointerexception segfault async npm css3 node "
        "postgres webpack programm funktion skript fehlermeldung fonction código función "
        "programma funzione função программу функцию код redis kafka limiter deadlock flaky "
        "concurrency thread threads regexp powershell ci jenkins graphql json5 yaml component",
        "unit test; unit tests; stack trace; pull request; code review; list comprehension; "
        "null pointer; off by one; race condition; failing test; failing tests; the build; "
        "test suite; dark mode",
    ),
    Cue(
        "code",
        1.0,
        "file datei fichier archivo arquivo webhook module excel spreadsheet vba implement "
        "class method variable array loop string database server deploy terminal command cron "
        "formula error fix implementiere implémente implementa implemente tests cache queue "
        "install running merge branch branches",
        "type hints; line by line; formula to",
    ),
    Cue(
        "mathematics",
        2.5,
        "integral integrate derivative differentiate equation equations polynomial matrix "
        "eigenvalue eigenvalues probability reals integers theorem lemma calculus algebra "
        "geometry trigonometry logarithm quadratic factorize factorise modulo gleichung "
        "ableitung ungleichung wahrscheinlichkeit équation dérivée intégrale probabilité "
        "ecuación derivada probabilidad equazione equação derivate irrational converges "
        "continuous vector topology satz théorème teorema rectángulo triángulo perímetro "
        "dreieck rechteck umfang fläche radius rectangle périmètre triangolo rettangolo "
        "perimetro área retângulo triângulo diverges divergiert cyclic",
        "square root; solve for; prime numbers; standard deviation; compound interest; how "
        "many ways; greatest common; least common; expected value",
    ),
    Cue(
        "mathematics",
        1.5,
        "simplify vereinfache simplifie simplifica zinsen interest discount fraction "
        "calculate compute solve probability percent percentage sum product divide multiply "
        "average median triangle circle angle perimeter prove proof berechne berechnen rechne "
        "löse prozent beweise beweis beweisen calcule calculer calculez résous résoudre "
        "démontre démontrer prouve démonstration calcula calcular resuelve demuestra "
        "demostrar demostración calcola calcolare risolvi dimostra dimostrare dimostrazione "
        "resolva demonstre oblicz udowodnij hesapla вычисли посчитай докажи докажите реши",
        "how many; how much; combien de; cuántos; cuántas; quanti; wie viele; quantos; find "
        "all functions; find all solutions; find all integers; find all pairs; find all real; "
        "find all values; such that; there exists; show that; montre que; par récurrence; "
        "zeige dass; mostra che; muestra que; mostre que; for all; at least one",
    ),
    Cue(
        "mathematics",
        0.5,
        "total each altogether remaining per km mph hours dollars cost costs discount rabatt "
        "desconto descuento apples twice half left insgesamt two three four five six seven "
        "eight nine ten zwei drei vier fünf sechs sieben acht deux trois quatre cinq dos tres "
        "cuatro cinco due tre quattro cinque dois duas três quatro",
    ),
    Cue(
        "reasoning",
        3.0,
        "fallacy razona raisonne ragiona raciocina morally permissible contradictory trolley "
        "enigmas deduce puzzle riddle paradox logically syllogism dilemma rätsel énigme "
        "acertijo indovinello enigma counterexample knights knaves",
        "who is lying; who is telling the truth; tells the truth; always lies; always lie; "
        "what can we conclude; can we conclude; does it follow; logic puzzle; think step by "
        "step; reason through; reason about; think through; thought experiment; root cause; "
        "work out who; game theory; lügt immer; dit la vérité; dice la verdad; what would "
        "happen if; weigh the; trade offs; tradeoffs; trade off; abwägen; which of these must "
        "be true; first principles; steelman; is older than; is taller than; is younger than; "
        "faster than; sits next to; lives next to; if all; wenn alle; si todos; si tous; se "
        "tutti; se todos; it follow that; se sigue que; second order; the decision; strongest "
        "argument; river crossing; how can you be sure; who owns; exactly one of; both sides; "
        "is his reasoning; is her reasoning; is this reasoning; is the reasoning; argument "
        "valid; valid argument; which would you choose; what are my options; what are the "
        "options; weigh up; wäge die; determine the order; single question; prove or "
        "disprove; explain your reasoning; show your reasoning; justify your answer; list all "
        "possible",
    ),
    Cue(
        "reasoning",
        1.5,
        "argue argument implies premise premises infer inference hypothesis ethical ethics "
        "moral justify begründe argumentiere justifie argumente argumenta argomenta "
        "consequences strategy strategic whether optimal",
    ),
    Cue(
        "creative",
        3.0,
        "myth legend ballad play comedy légende leyenda leggenda lenda mythe mito mythos "
        "ballade ballada monolog monólogo monologo saga fable fabel rhyme rhyming rime "
        "acrostic dichte reime theaterstück sketch skit poem poems haiku sonnet limerick "
        "lyrics story stories novel fairy screenplay scene monologue dialogue fanfiction "
        "worldbuilding brainstorm slogan slogans tagline taglines joke jokes parody rap verse "
        "villanelle gedicht geschichte kurzgeschichte märchen witz liedtext drehbuch poème "
        "histoire chanson blague poema cuento historia chiste canción guion racconto poesia "
        "fiaba storia barzelletta canzone piada poemat opowiadanie wiersz şiir hikaye hikâye "
        "стихотворение рассказ сказку сказка gedichtje verhaal erzähl erzähle raconte "
        "racontez cuéntame cuenta racconta raccontami villain backstory campaign",
        "un conte; um conto; ein roman; un roman; une nouvelle; short story; bedtime story; "
        "in the style of; name ideas; make up a; creative names; opening chapter; first "
        "chapter; come up with; role play; plot twist; continue this story; continue the "
        "story",
    ),
    Cue(
        "creative",
        1.0,
        "creative imagine invent imaginary character fictional fantasy sci-fi toast song "
        "erfinde stell invente inventa imagina inventer metaphor whimsical dragon wizard "
        "names speech",
    ),
    Cue(
        "planning",
        3.0,
        "itinerary roadmap planning schedule timetable migration reiseplan zeitplan plane "
        "fahrplan projektplan trainingsplan itinéraire planifie planifica itinerario "
        "pianifica planeje roteiro cronograma планируй маршрут",
        "plan a; plan my; meal plan; training plan; study plan; business plan; project plan; "
        "workout plan; go to market; marketing plan; lesson plan; launch plan; design a "
        "system; system design; design the architecture; microservice architecture; plan de; "
        "erstelle einen plan; crea un plan; plano de; piano di; programme d entraînement; "
        "training program; trainingsprogramm; rollout plan; put together a; programa de; "
        "programma di; plan for; help me plan; plan out; organise a; organize a; design the; "
        "design an",
    ),
    Cue(
        "planning",
        1.5,
        "plan design architect architecture milestones budget organize organise strategy "
        "phased rollout entwirf konzipiere conçois diseña progetta projete organisiere "
        "microservices distributed scalable deadlines",
    ),
    Cue(
        "chat",
        1.0,
        "hi hello hey thanks thank hallo moin servus danke bonjour salut merci coucou hola "
        "gracias ciao grazie olá oi obrigado obrigada привет спасибо hoi cześć merhaba selam",
    ),
    Cue(
        "chat",
        3.5,
        "lol haha thx cheers bye goodbye tschüss",
        "how are you; how s it going; what s up; good morning; good evening; good night; who "
        "are you; what can you do; nice to meet; tell me about yourself; are you a robot; are "
        "you human; thank you; thanks a lot; wie geht; guten morgen; guten tag; guten abend; "
        "vielen dank; gute nacht; wer bist du; ça va; comment vas tu; bonne nuit; buenos "
        "días; buenas tardes; qué tal; cómo estás; muchas gracias; buongiorno; buonasera; "
        "come stai; come va; bom dia; boa tarde; tudo bem; как дела; have a nice; i m bored; "
        "i feel; do you like; what s your favorite; what s your name",
    ),
    Cue(
        "faq",
        1.5,
        "premium subscription account delivery currency planet planets store shop hours price "
        "prices ingredients zutaten abbreviation kilometres miles kilometers celsius capital "
        "population define definition meaning bedeutet hauptstadt signifie capitale "
        "significado significa weather recipe opening refund password shipping invented "
        "founded synonym antonym tall",
        "what is; what are; what does; what s the; who is; who was; who wrote; when did; when "
        "was; when is; where is; where can; how do i; how can i; how old; how far; how tall; "
        "how long; what time; is there; is it; can i; do i need; do you offer; was ist; wer "
        "ist; wie alt; wo ist; wie kann ich; kann ich; wann ist; qu est ce; c est quoi; "
        "quelle est; quel est; où est; comment puis je; qué es; cuál es; quién es; dónde "
        "está; cómo puedo; che cos è; cos è; qual è; chi è; dov è; come posso; o que é; qual "
        "é; quem é; onde fica; como posso; stand for; mean by; что такое; кто такой; stands "
        "for; remind me what; a che ora; à quelle heure; wie viel kostet; combien coûte; "
        "cuánto cuesta; quanto costa; quanto custa",
    ),
    Cue(
        "faq",
        3.0,
        "postal zip postcode plz",
    ),
    Cue(
        "summarising",
        2.0,
        "",
        "points essentiels; auf das wesentliche; so far; sentence summary",
    ),
)
