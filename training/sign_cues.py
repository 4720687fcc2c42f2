"""The words that make an ask harder or lighter, as data. Languages as in `cues`."""

from training.cues import Cue

SIGNS = ("constraint", "step", "proof", "rigour", "stakes", "light", "tiny", "heavy_code", "long_work")

SIGN_CUES = (
    Cue(
        "constraint",
        1.0,
        "must should exactly only never always without except avoid include including ensure "
        "maximum minimum required requirement requirements constraint constraints budget "
        "unless respectively limit muss müssen soll sollen genau nur niemals immer ohne außer "
        "mindestens höchstens maximal vermeide doit doivent exactement seulement jamais sans "
        "sauf évite debe deben exactamente solo sólo nunca sin excepto máximo mínimo evita "
        "deve devono esattamente senza tranne massimo minimo evitare devem exatamente somente "
        "sem exceto",
        "at least; at most; no more than; make sure; as well as; not more than; up to; au "
        "moins; au plus; al menos; como máximo; almeno; pelo menos; no máximo; subject to; "
        "given that; such that",
    ),
    Cue(
        "step",
        1.0,
        "then afterwards finally firstly secondly thirdly lastly subsequently next dann "
        "danach anschließend schließlich zuerst zunächst ensuite puis enfin después luego "
        "finalmente primero poi infine dopo depois",
        "step by step; after that; first of all; schritt für schritt; étape par étape; paso a "
        "paso; passo dopo passo; passo a passo; follow these steps; based on that; for each "
        "of",
    ),
    Cue(
        "proof",
        1.0,
        "prove proof proofs disprove beweise beweis beweisen démontre démontrer prouve "
        "démonstration demuestra demostrar demostración dimostra dimostrare dimostrazione "
        "demonstre докажи докажите доказать udowodnij bewijs bewijzen bewijst 证明 証明 증명 أثبت برهن kanıtla",
        "show that; by induction; par récurrence; montre que; montre par; zeige dass; muestra "
        "que; mostra che; mostre que; per induzione; por inducción; por indução; "
        "vollständiger induktion",
    ),
    Cue(
        "rigour",
        1.0,
        "justify derive rigorous rigorously optimal optimize optimise tradeoffs tradeoff "
        "implications counterexample deduce contradiction induction edge nuanced begründe "
        "herleiten leite justifie justifiez justifica giustifica justifique",
        "step by step; trade offs; trade off; root cause; in depth; think carefully; from "
        "first principles; show your reasoning; show your work; explain your reasoning; worst "
        "case; schritt für schritt; étape par étape; paso a paso; passo a passo; always lies; "
        "tells the truth; what would happen if; time complexity; edge cases; multi step",
    ),
    Cue(
        "stakes",
        1.0,
        "legal lawsuit contract clause liability gdpr compliance statute court tort indemnity "
        "plaintiff jurisdiction diagnosis diagnose differential patient clinical symptoms "
        "dosage treatment contraindications oncology valuation merger derivative tax audit "
        "regulatory vertrag klausel haftung dsgvo rechtlich rechtliche gericht kündigung "
        "patientin diagnostic contrat responsabilité juridique rgpd symptômes contrato "
        "cláusula jurídico legales diagnóstico paciente síntomas contratto clausola giuridico "
        "diagnosi paziente sintomi sintomas",
        "case law; due diligence; drug interaction; drug interactions",
    ),
    Cue(
        "light",
        1.0,
        "short brief briefly quick quickly simple simply basic kurz kurze kurzen kurzer "
        "kurzes einfach bref brève court courte simplement corto corta breve brevemente "
        "semplice simples curto curta easy krótki kısa короткий кратко",
        "one sentence; in a sentence; one word; two sentences; one line; two lines; one "
        "paragraph; in einem satz; en une phrase; en una frase; in una frase; em uma frase; "
        "eli5; like i m five",
    ),
    Cue(
        "tiny",
        1.0,
        "joke jokes slogan slogans tagline taglines one-liner pun puns witz witze blague "
        "chiste barzelletta piada spruch motto caption hashtag hashtags",
        "name ideas; creative names; a name for; dad joke",
    ),
    Cue(
        "heavy_code",
        1.0,
        "debug deadlock race flaky leak intermittent concurrency concurrent thread threads "
        "segfault profiling bottleneck refactor migrate vulnerability vulnerabilities "
        "lock-free distributed scalable architecture microservices fault-tolerant throughput "
        "sharding consistency replication backpressure idempotent",
        "race condition; memory leak; thread safe; from scratch; high availability; low "
        "latency; exactly once; at scale; million users; requests per second; production "
        "ready; whole codebase; entire codebase; the codebase; fault tolerant",
    ),
    Cue(
        "long_work",
        1.0,
        "comprehensive detailed thorough thoroughly complete chapter chapters novel essay "
        "whitepaper thesis dissertation ausführlich ausführliche detailliert umfassend "
        "umfassende détaillé détaillée complet complète detallado detallada completo completa "
        "exhaustivo dettagliato dettagliata esaustivo detalhado detalhada detalhadamente "
        "in-depth extensive multiple several systematic literature",
        "1000 words; 1500 words; 2000 words; 3000 words; in detail; full length; end to end",
    ),
)
