"""The same as `cues` for Dutch, Polish, Turkish, Russian, Arabic and Hindi, and pairs of signs for Chinese, Japanese, Korean.

Beginnings of words count wherever a text opens, so one form of a verb stands for its others.
"""

from training.cues import Cue

WORLD_CUES = (
    Cue(
        "faq",
        1.5,
        "wat wie waar wanneer welke hoeveel hoelang hoe kan kunnen heeft openingstijden levering verzendkosten wachtwoord "
        "co kto gdzie kiedy ile jaka jaki jakie która który czy mogę można jak dostawa hasło ne nedir kim kimdir nerede "
        "kaç hangi hangisi zaman mi mı nasıl kargo şifre что кто где когда сколько какой какая какие как можно ли почём "
        "доставка пароль столица ما من أين متى كم هل كيف عاصمة क्या कौन कहाँ कब कितना कितने कैसे राजधानी",
        "hoe laat; hoe lang; wat is; wat zijn; waar kan; kan ik; ile kosztuje; co to; jak długo; ne kadar; ne zaman; что "
        "такое; как изменить; как мне; ما هي; ما هو; क्या है",
    ),
    Cue(
        "chat",
        3.5,
        "hoi hallo goedemorgen goedenavond doei dankjewel bedankt cześć hej dziękuję dzięki dobranoc selam merhaba "
        "günaydın teşekkürler teşekkür nasılsın привет здравствуйте спасибо пока добрый مرحبا شكرا السلام صباح नमस्ते "
        "धन्यवाद शुक्रिया",
        "alles goed; hoe gaat; dank je; tot morgen; dzień dobry; jak się; co słychać; как дела; доброе утро; добрый день; "
        "كيف حالك; good afternoon; how are; are you; thank you; you there; see you",
    ),
    Cue(
        "translation",
        3.0,
        "vertaal vertalen vertaling engels frans duits przetłumacz tłumaczenie angielski niemiecki çevir tercüme "
        "ingilizceye almancaya переведи перевести перевод английский ترجم ترجمة الإنجليزية अनुवाद अंग्रेज़ी",
        "naar het; hoe zeg; na angielski; jak powiedzieć; na niemiecki; на английский; по английски; по немецки; إلى "
        "الإنجليزية; in dutch; into dutch; in french; word for; in italiano; em inglês; para inglês; auf polnisch; en "
        "japonais; auf deutsch; auf englisch; in german; in spanish; in english; en allemand; en alemán; al alemán",
    ),
    Cue(
        "classification",
        3.0,
        "recensie positief negatief categorie classificeer opinia pozytywna negatywna pozytywny zaklasyfikuj kategorii "
        "sklasyfikuj olumlu olumsuz yorum sınıflandır kategori тональность категории классифицируй отзыв определи "
        "позитивный негативный спам تعليق إيجابي سلبي صنف सकारात्मक नकारात्मक वर्गीकृत queja positivo negativo formal "
        "informal komplimen beleidigung spam urgency",
        "positief of; positiv oder; yes or; or no; rate the; spam ou; is dit; is deze; hoort dit; czy ta; czy to; olumlu "
        "mu; к какой; به کدام; هل هذا; spam or; ou pas; queja una; bug richiesta; esse texto",
    ),
    Cue(
        "extraction",
        3.0,
        "verbeter spelfouten haal haalt lijst tabel sorteer wypisz popraw błędy wyodrębnij tabeli posortuj çıkar düzelt "
        "listele tablo извлеки исправь ошибки выпиши таблицу отсортируй список найди استخرج صحح जدول निकालो सुधारो सूची "
        "numbered list punctuation markiere alphabetical saca elenca converta mets sortiere",
        "haal de; uit deze; uit de; z tego; bu metindeki; из текста; в таблицу; من النص; numbered list; into a; as json; "
        "para json; par ordre; de este; dit zin",
    ),
    Cue(
        "summarising",
        3.0,
        "vat samenvatting samen samenvatten kernpunten streść streszczenie podsumuj podsumowanie özetle özet özeti "
        "изложение резюме кратко перескажи подытожь сократи лخص ملخص لخص सारांश संक्षेप takeaways stichpunkten "
        "synthèse síntesis",
        "vat deze; belangrijkste punten; drie zinnen; najważniejsze punkty; краткое изложение; главные мысли; لخص النص; "
        "key takeaways; tl dr; cinq lignes; punti principali",
    ),
    Cue(
        "drafting",
        2.0,
        "schrijf mail e-mail brief bericht sollicitatiebrief uitnodiging herinnering opstel stel napisz maila list "
        "wiadomość ogłoszenie podanie yaz eposta e-posta mektup mesaj davetiye ilan напиши письмо составь объявление "
        "сообщение приглашение отзыв اكتب رسالة بريد लिखो ईमेल पत्र संदेश convite carta post linkedin instagram absage "
        "antworte",
        "schrijf een; stel een; een brief; een mail; napisz maila; uprzejmego maila; e posta; напиши письмо; составь "
        "объявление; اكتب رسالة; text to; a post; post instagram",
    ),
    Cue(
        "analysis",
        2.5,
        "leg uitleggen vergelijk voordelen nadelen waarom analyseer verschil gevolgen oorzaken wyjaśnij porównaj dlaczego "
        "przeanalizuj zalety wady różnica przyczyny açıkla karşılaştır neden avantajları dezavantajları fark analiz "
        "объясни сравни почему проанализируй разница причины последствия преимущества недостатки اشرح قارن لماذا الفرق "
        "أسباب समझाओ तुलना कारण अंतर avalie analiza riscos puntos débiles auswirkungen",
        "leg uit; voor en; en nadelen; hoe werkt; jak działa; zalety i; czym różni; ne fark; в чём; чем отличается; "
        "плюсы и; минусы; ما الفرق; how do; how does; why did; che differenza",
    ),
    Cue(
        "code",
        2.5,
        "python javascript functie query skrypt funkcję kod fonksiyon betik скрипт функцию функция код запрос программу "
        "класс ошибка دالة كود बाइथन कोड फ़ंक्शन flexbox button regex bash react implementeer",
        "een functie; python functie; napisz funkcję; fonksiyon yaz; напиши скрипт; напиши функцию; на python; sql "
        "запрос; اكتب دالة; one liner; spinner to",
    ),
    Cue(
        "mathematics",
        2.5,
        "bereken vergelijking gemiddeld oppervlakte bewijs oblicz równanie pole procent udowodnij trójkąta hesapla "
        "denklemini denklem çöz yüzde alan реши уравнение вычисли посчитай площадь процентов докажи докажите сколько "
        "احسب معادلة مساحة हल समीकरण गणना kaç derivative dérivée derivada gleichungssystem ableitung media",
        "bereken de; hoe hard; ile wynosi; сколько будет; quanto é; quanto fa; what is 00; tip on; zeige dass; bewijs "
        "dat; докажите что; udowodnij że",
    ),
    Cue(
        "reasoning",
        3.0,
        "raadsel liegt waarheid weeg argumenten logisch beredeneer zagadka kłamie prawdę rozważ argumenty adım mantık "
        "bilmece yalan logik логически рассуждай лжецы рыцари взвесь вывод загадка правду استنتج منطقي يكذب तर्क पहेली "
        "ment mentono lügt begründe folgt argumente conclua berger puzzle",
        "spreekt de; waarheid wie; kto mieszka; кто есть; взвесь аргументы; adım adım; who is; which order; reason "
        "through; both options; in which; dos lados; chi mente; folgt daraus; étape par; cómo saber; what should; should "
        "i; should we",
    ),
    Cue(
        "creative",
        3.0,
        "verhaal gedicht sprookje bedenk verzin slogan bajkę bajka wiersz opowiadanie wymyśl hikaye hikâye şiir masal "
        "öykü стихотворение рассказ сказку сказка придумай сочини слоган قصة قصيدة شعر कहानी कविता fiaba conto relato "
        "poema sonnet lyrics monolog dialogue bedtime",
        "kort verhaal; een gedicht; een verhaal; napisz bajkę; kısa bir; bir hikâye; напиши стихотворение; придумай "
        "сказку; اكتب قصة; bedtime story; make up; um conto; un relato; ciencia ficción",
    ),
    Cue(
        "planning",
        3.0,
        "reisplan trainingsschema plan planning schema zaplanuj harmonogram planla program gezi hazırla план спланируй "
        "составь расписание подготовки переезд маршрут خطة جدول योजना rota milestones chore cronograma itinerario "
        "planning ernährungsplan trasloco organizza organiza",
        "maak een; een plan; stel een; gezi planı; составь план; план подготовки; ضع خطة; plan de; weekly chore; lay out; "
        "plan di; a budget; budget van; mit einkaufsliste; with a; di studio; sei mesi",
    ),
    Cue(
        "faq",
        2.0,
        "多高 多少 几点 哪里 什么 怎么 营业 密码 首都 いつ どこ 何日 期限 営業 高さ 誰が 어디 언제 며칠 얼마 몇시 수도 누구 비밀",
    ),
    Cue("chat", 3.5, "你好 谢谢 再见 早上 晚上 こん あり おは 元気 안녕 고마 감사 반가"),
    Cue("translation", 3.0, "翻译 翻訳 英文 英语 法语 德语 英語 訳し 번역 영어 日语"),
    Cue("classification", 3.0, "分类 正面 负面 判断 垃圾 分類 肯定 否定 분류 긍정 부정 스팸"),
    Cue("extraction", 3.0, "提取 整理 表格 列出 改正 错别 抜き 抽出 変換 修正 추출 변환 정리 맞춤"),
    Cue("summarising", 3.0, "总结 概括 摘要 归纳 会议 要約 まと 議事 요약 간추"),
    Cue("drafting", 2.0, "邮件 写一 帮我 介绍 通知 メー 書い 作成 紹介 お詫 이메 작성 안내 편지"),
    Cue(
        "analysis",
        2.5,
        "比较 优缺 解释 分析 为什 区别 影响 说明 比較 説明 仕組 メリ 違い 教え なぜ 설명 비교 차이 분석 이유 장단",
    ),
    Cue("code", 2.5, "代码 函数 报错 编程 脚本 実装 関数 コー エラ 配列 코드 함수 에러 파이 구현"),
    Cue(
        "mathematics",
        2.5,
        "解方 方程 计算 证明 打八 多少 面积 概率 方程 計算 証明 解い 数列 km 계산 방정 증명 얼마 넓이 확률",
    ),
    Cue("reasoning", 3.0, "推理 说谎 真话 推出 理由 嘘つ 正直 論理 検討 推論 추론 논리 참이 거짓"),
    Cue("creative", 3.0, "诗。 故事 一首 编一 小说 童话 名字 物語 小説 短編 詩を 名前 소설 동화 이야 시를"),
    Cue("planning", 3.0, "计划 规划 制定 旅行 日程 行程 预算 計画 プラ 予算 立て 일정 계획 예산 여행"),
    Cue("planning", 1.5, "预算 三个 个月 か月 일간"),
)
