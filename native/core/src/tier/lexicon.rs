//! The words that indicate a request's complexity, in several languages, and the trie that finds them.

use std::sync::OnceLock;

/// Categories of words, each its own feature. `|` separates entries; a final `*` accepts any ending,
/// otherwise whole words are matched. Lower case, words separated by single spaces.
pub const LEXICON: [(&str, &str); 26] = [
    (
        "greeting",
        "hi|hello|hey|thanks|thank you|good morning|good evening|how are you|bye|cheers|ok|okay|great|nice|hallo|danke|guten tag|guten morgen|bonjour|salut|merci|hola|gracias|buenos dias|ola|obrigad*|ciao|grazie|привет|спасибо|здравствуйте|你好|谢谢|こんにちは|ありがとう|안녕*|감사*|namaste|merhaba|teşekkür*|cześć|dziękuję|hej|tack|مرحبا|شكرا",
    ),
    (
        "fact",
        "who is|who was|who wrote|who invented|who painted|who won|who discovered|what is the|what's the|what is a|what is an|what does|what year|what time|what day|what color|what colour|which year|which country|which planet|when was|when did|when is|where is|where was|where are|where do|how many|how much|how old|how tall|how far|how long is|how long does|how high|how big|how deep|capital of|population of|stand for|stands for|meaning of|synonym*|antonym*|plural|past tense|spell*|pronounc*|define|definition of|abbreviat*|acronym*|symbol for|area code|time zone|currency of|opposite of|square root of|boiling point|default port|wer ist|wer war|wer hat|was ist|was bedeutet|wann wurde|wann war|wann ist|wo ist|wo liegt|wie viele|wie viel|wie heißt|wie hoch|wie alt|wie lange|hauptstadt|welches jahr|welche farbe|qui est|qui a|quelle est|quel est|quand|où se|combien|capitale|que signifie|quién|quien|cuál es|cual es|cuándo|cuando|dónde|cuánto*|cuánta*|qué significa|quem|qual é|qual a|quando|quanto*|quanta*|onde fica|o que significa|chi è|chi ha|qual è|dov'è|cosa significa|wie is|wat is|hoeveel|wanneer|waar|кто|когда|где|сколько|столица|что такое|что значит|какая столица|谁|什么时候|哪里|哪个|多少|几个|几点|首都|什么意思|是什么|誰|いつ|どこ|いくつ|何年|何時|何ですか|首都|とは|意味|누구|언제|어디|몇|얼마|수도|뜻|무엇|kim|nerede|ne zaman|kaç|başkent*|kto|kiedy|gdzie|ile|stolica",
    ),
    (
        "yesno",
        "is it|is there|is the|is a|is this|are there|are the|does|do|did|can i|can you|can a|could you|should i|was the|will|has|true or false|yes or no|ist|kann|kann man|gibt es|est-ce|est ce que|es verdad|hay|existe|é verdade|è vero|правда ли|можно ли|есть ли|是不是|吗|ですか|ますか|인가요|습니까",
    ),
    (
        "translate",
        "translat*|in french|in german|in spanish|in english|in japanese|to english|to spanish|to french|to german|into english|into spanish|into french|into german|into italian|into japanese|into portuguese|übersetz*|auf englisch|auf deutsch|auf französisch|traduis*|traduire|traduz*|traduc*|tradu*|en anglais|en inglés|en español|em inglês|in inglese|vertaal|перевед*|перевод*|翻译|翻訳|英訳|번역*|英语怎么说|çevir*|przetłumacz*|ترجم*",
    ),
    (
        "convert",
        "convert*|celsius|fahrenheit|kilometers|kilometres|miles|pounds|kilograms|ounces|inches|in usd|in eur|to hex|to binary|decimal|lowercase|uppercase|title case|capitalize|reverse the|sort these|alphabetical*|round to|percent of|% of|umrechn*|rechne|convertis|converti*|конверт*|换算|変換|환산*",
    ),
    (
        "brief",
        "one word|one sentence|single word|in a word|briefly|short answer|just the|just tell|just give|only the|only answer|reply with|respond with|answer with|quick|quickly|simply|kurz|in einem satz|nur|bref|brièvement|en une phrase|seulement|solo|breve|en una frase|só|brevemente|in una frase|кратко|коротко|одним словом|только|简短|只|一句话|一言で|簡単に|한 문장|간단히|간략*",
    ),
    (
        "summarize",
        "summar*|tl;dr|tldr|condense*|key points|main points|takeaways|bullet point*|bullets|recap|digest|shorten|abstract of|zusammenfass*|fasse|fass |stichpunkt*|kürze|résum*|resum*|puntos clave|pontos principais|riassum*|sintetizz*|samenvat*|vat |резюм*|кратко изложи*|обобщ*|总结|概括|摘要|要点|要約|まとめ|요약*|özetle*|podsumuj|streść|لخص",
    ),
    (
        "rewrite",
        "rewrite|reword*|rephras*|paraphras*|proofread*|polish|grammar|tone|formal|friendlier|more professional|professional|improve this|improve the wording|edit this|correct this|fix the grammar|simplify|make it|make this|formulier*|umformulier*|schreibe um|korrigier*|förmlich*|höflich*|reformul*|réécri*|corrig*|reescrib*|reescrev*|riscriv*|herschrijf*|перепиши*|перефраз*|исправ*|改写|润色|修改|校对|书き換え|書き直|言い換え|添削|丁寧|다시 써|고쳐|다듬*|yeniden yaz|popraw",
    ),
    (
        "classify",
        "classif*|categori*|sentiment|label|labels|labeled|tag each|tag these|positive or negative|positive, negative|spam|intent|priority|which category|triage|rate the|score the|rank these|kategorisier*|klassifizier*|stimmung|classe les|classer|clasific*|categoriz*|классифи*|категор*|тональност*|分类|归类|情感|分類|感情|분류*|감정*|sınıfland*|sklasyfikuj",
    ),
    (
        "extract",
        "extract*|pull out|find all|list all|list the|identify the|identify all|json|csv|xml|yaml|table|fields|key-value|parse|named entit*|entities|line items|names and|dates and|as a list|format as|fill in|markdown|extrahier*|liste alle|tabelle|extrai*|tableau|tabla|tabela|tabella|estra*|haal|извлек*|найди все|таблиц*|提取|抽取|列出|表格|抽出|一覧|表に|추출*|목록|표로|çıkar|wyodrębnij",
    ),
    (
        "write",
        "write a|write an|write me|write two|write three|write some|draft|compose|email|e-mail|mail|letter|blog|post|tweet|linkedin|product description|headline*|tagline*|slogan*|caption*|poem|haiku|limerick|story|cover letter|press release|announcement|invitation|speech|toast|newsletter|job description|faq|release notes|reply to|response to|suggest|brainstorm|ideas for|names for|schreib*|verfasse|entwurf|gedicht|rédige*|écris|poème|lettre|escrib*|redact*|carta|correo|poema|escrev*|redij*|scrivi|lettera|schrijf|напиши*|составь|письмо|стих*|写一|写封|写个|邮件|文案|诗|书いて|書いて|メール|作成して|써줘|써 줘|작성*|이메일|yaz|napisz",
    ),
    (
        "explain",
        "explain*|how does|how do|why does|why do|why is|why are|difference between|differences between|what happens|describe|walk me through|in simple terms|teach me|introduc*|overview|erklär*|unterschied|warum|wie funktioniert|expliqu*|différence|pourquoi|comment fonctionne|explica*|diferencia*|por qué|cómo funciona|diferença*|por que|como funciona|spieg*|differenza|perché|come funziona|leg uit|verschil|waarom|объясн*|разниц*|почему|как работает|解释|区别|为什么|如何|怎么|説明|違い|なぜ|仕組み|설명*|차이*|왜|어떻게|açıkla|wyjaśnij",
    ),
    (
        "smallcode",
        "function|regex|regular expression|sql|query|script|snippet|one-liner|one liner|python|javascript|typescript|java|bash|shell|html|css|react|component|unit test|unit tests|docstring|method|class|loop|array|dictionary|command|git|dockerfile|cron|endpoint|funktion|skript|fonction|función|función|função|funzione|функци*|скрипт*|запрос|函数|脚本|正则|代码|関数|スクリプト|コード|함수|스크립트|코드|fonksiyon|funkcj*",
    ),
    (
        "compare",
        "compar*|versus|vs|pros and cons|advantages and|trade-off*|tradeoff*|better choice|which is better|which one should|should we use|should we|alternativ*|vergleich*|vor- und nachteile|gegenüber|compare*|avantages|inconvénients|ventajas|desventajas|vantagens|vantaggi|confront*|vergelijk*|сравн*|преимуществ*|недостат*|比较|对比|优缺点|权衡|比較|メリット|デメリット|비교*|장단점|karşılaştır*|porównaj|قارن",
    ),
    (
        "prove",
        "prove|proof|proofs|theorem*|lemma*|corollar*|derive|derivation*|induction|contradiction|converge*|convergence|eigenvalue*|integral*|differential equation*|show that|if and only if|iff|closed form|closed-form|asymptotic*|upper bound|lower bound|np-hard|np-complete|expected value|expectation of|probability that|stochastic|bayes*|posterior|gradient of|hessian|lagrangian|isomorph*|topolog*|manifold*|prime*|modulo|combinator*|recurrence|complexity of|invariant*|beweis*|zeige, dass|herleit*|wahrscheinlichkeit|démontr*|prouv*|théorème|récurrence|demuestr*|demostr*|teorema|probabilidad*|demonstr*|prove que|dimostr*|bewijs*|докаж*|доказ*|теорем*|вероятност*|выведи*|证明|推导|定理|概率|归纳|収束|証明|導出|定理|確率|帰納|증명*|유도*|정리를|확률|kanıtla*|ispatla*|udowodnij|أثبت",
    ),
    (
        "design",
        "design*|architect*|architecture*|scalab*|distributed|microservice*|multi-tenant|multi-region|high availability|fault-toleran*|fault toleran*|consisten*|idempoten*|sharding|shard*|replicat*|partition*|schema|data model|migrat*|pipeline|infrastructure|end-to-end|implement*|build a|build an|develop a|protocol|state machine|concurren*|lock-free|thread-safe|multithread*|multi-thread*|real-time|throughput|latency|load balanc*|failover|event-driven|event sourcing|crdt|consensus|compiler|interpreter|parser|scheduler|rate limiter|threat model*|zero-downtime|exactly-once|entwirf|entwerf*|entwickle|architektur*|skalierbar*|verteilt*|conçois|concev*|conception|architectur*|évolutiv*|distribu*|diseñ*|arquitectur*|escalab*|projet*|arquitetur*|desenh*|progett*|architettur*|ontwerp*|спроектир*|архитектур*|разработай*|реализу*|распредел*|масштабир*|设计|架构|实现一|实现|分布式|高可用|并发|迁移|設計|アーキテクチャ|実装|分散|設計して|설계*|아키텍처|구현*|분산*|tasarla*|mimari*|zaprojektuj|صمم",
    ),
    (
        "debug",
        "debug*|deadlock*|race condition*|memory leak*|leaks|stack trace|stacktrace|traceback|segfault*|exception|crash*|intermittent*|flaky|root cause*|why does this fail|doesn't work|does not work|not working|bug|bugs|off-by-one|refactor*|optimi*|profil*|bottleneck*|regression|slow|performance|vulnerab*|exploit*|code review|review this|p99|oom|corrupt*|undefined behavior|undefined behaviour|heisenbug|fehler*|absturz|langsam*|optimier*|ursache*|débog*|bogue|fuite mémoire|ralentit|optimis*|depur*|fuga de memoria|condición de carrera|lent*|vazamento*|otimiz*|ottimizz*|отлад*|утечк*|ошибк*|оптимиз*|гонк*|медленн*|调试|死锁|内存泄漏|优化|排查|报错|竞态|性能|バグ|デバッグ|最適化|デッドロック|原因|リーク|디버*|버그|최적화*|교착*|누수|hata|optimize et*|zdebuguj|zoptymalizuj",
    ),
    (
        "analyze",
        "analy*|evaluat*|assess*|critiqu*|critical*|implication*|synthesi*|reconcil*|interpret*|investigat*|infer*|diagnos*|argue|argument*|counterargument*|counter-argument*|to what extent|discuss|examine|hypothes*|causal*|confound*|limitations|weaknesses|methodolog*|second-order|stress test*|sensitivity|scenario*|contradict*|inconsisten*|across|analysier*|bewerte*|beurteil*|untersuch*|erörter*|évalu*|critique*|examin*|analiz*|evalú*|argument*|discut*|avali*|valut*|analizz*|beoordeel|проанализ*|анализ*|оцени*|обоснуй*|分析|评估|论证|探讨|批判|评价|影响|分析して|評価|考察|論じ|検討|분석*|평가*|논의*|검토*|değerlendir*|analiz et*|przeanalizuj|oceń|حلل",
    ),
    (
        "plan",
        "plan|plans|planning|roadmap*|strateg*|itinerar*|schedul*|phases|milestone*|timeline|budget*|go-to-market|curriculum|rollout|business case|business plan|okr*|resource allocation|playbook|runbook|framework|policy|proposal|forecast*|projektplan*|strategie*|fahrplan|zeitplan|planif*|feuille de route|stratégi*|estrateg*|plan de|hoja de ruta|presupuesto|plano de|cronograma|pianific*|piano di|стратег*|план|дорожн*|бюджет*|计划|规划|策略|战略|路线图|预算|方案|計画|戦略|ロードマップ|予算|計画を|계획*|전략*|로드맵|예산|planla*|strateji*|plan działania|استراتيج*",
    ),
    (
        "constraint",
        "must|must not|constraint*|subject to|given that|such that|at least|at most|no more than|exactly|assume|assuming|minimi*|maximi*|optimal*|trade off|while|without|ensure|ensuring|guarantee*|handle|handling|consider|considering|account for|taking into account|edge case*|include|including|justify|justif*|require*|each|between|under|muss|müssen|mindestens|höchstens|genau|ohne|berücksichtig*|begründ*|inklusive|sowie|doit|doivent|au moins|sans|en tenant compte|justifie*|y compris|debe|deben|al menos|sin|teniendo en cuenta|considerando|incluy*|deve|devem|pelo menos|sem|incluindo|levando em|almeno|senza|tenendo conto|considera*|должн*|не менее|без|учит*|учёт*|включая|условии|必须|至少|不超过|考虑|保证|确保|包括|要求|并且|同时|必ず|以上|以下|考慮|含め|制約|ただし|반드시|이상|이하|고려*|포함*|제약|조건|dikkate|olmalı|musi|uwzględni*",
    ),
    (
        "domain",
        "legal|contract*|clause*|liabilit*|gdpr|hipaa|complian*|regulat*|jurisdiction*|tort|statut*|indemnif*|clinical*|patient*|symptom*|differential diagnosis|pharmac*|dosage|contraindicat*|patholog*|trial|valuation|dcf|cash flow*|portfolio|derivative*|hedg*|volatil*|monetary policy|fiscal|inflation|elasticit*|econometric*|tax|taxation|merger*|acquisition*|quantum|thermodynamic*|kinetic*|molecul*|genom*|protein*|neural network*|transformer*|reinforcement learning|cryptograph*|encryption|zero-knowledge|signal processing|control theory|epidemiolog*|geopolit*|philosoph*|ethic*|kant*|utilitarian*|sociolog*|historiograph*|vertrag*|haftung*|dsgvo|klausel*|steuer*|kündigungsschutz*|contrat*|juridique*|rgpd|responsabilité|fiscalité|legal*|cláusula*|responsabilidad*|fiscal*|tributár*|contratto|responsabilità|договор*|ответственн*|налог*|юридическ*|法律|合同|条款|临床|患者|诊断|税|货币政策|量子|神经网络|契約|条項|法的|患者|診断|税|量子|계약*|법률|환자|진단|세금|양자|sözleşme*|vergi*|umow*|podat*",
    ),
    (
        "depth",
        "step by step|step-by-step|think through|think carefully|reason through|reasoning|rigorous*|comprehensive*|thorough*|in detail|detailed|in depth|in-depth|full|complete|production-grade|production-ready|end to end|from scratch|multi-step|carefully|show your work|show all|schritt für schritt|ausführlich*|detaillier*|gründlich|umfassend*|étape par étape|en détail|détaill*|approfondi*|complète|paso a paso|en detalle|detallad*|exhaustiv*|complet*|passo a passo|detalhad*|complet*|passo dopo passo|dettagli*|approfondit*|stap voor stap|пошагов*|подробн*|детальн*|шаг за шагом|完整|详细|一步步|逐步|严格|全面|深入|詳しく|詳細|ステップ|段階|厳密|完全|단계별|자세히|상세*|철저*|완전*|adım adım|ayrıntılı|krok po kroku|szczegółow*",
    ),
    (
        "sequence",
        "then|first|second|finally|next|after that|as well as|also|and then|followed by|dann|anschließend|außerdem|danach|ensuite|puis|enfin|aussi|luego|después|además|depois|em seguida|além disso|poi|infine|inoltre|затем|потом|также|после этого|然后|接着|最后|此外|以及|分别|次に|その後|最後に|また|それぞれ|그리고|그다음|마지막*|또한|sonra|następnie",
    ),
    (
        "data",
        "report|reports|document|documents|dataset*|data set|log|logs|transcript*|article|articles|paper|papers|thread|ticket*|invoice*|review:|text:|following text|following paragraph|following email|the following|below|attached|spreadsheet|bericht*|dokument*|folgende*|rapport*|suivant*|texte|siguiente*|texto|seguinte*|seguente|testo|следующ*|текст|以下|下面|文本|报告|日志|次の|以下の|文章|다음|아래|텍스트|보고서|aşağıdaki|poniższ*|następując*",
    ),
    (
        "system",
        "service*|server*|database*|postgres*|mysql|redis|kafka|kubernetes|docker|aws|cluster*|cache*|queue*|api|apis|client*|backend|frontend|cloud|tenant*|terraform|grpc|websocket*|transaction*|index|indexes|thread*|memory|cpu|cores|requests|users|traffic|deploy*|system*|dienst*|datenbank*|serveur*|base de données|servidor*|base de datos|banco de dados|сервер*|сервис*|баз* данных|кластер*|服务|数据库|集群|缓存|队列|系统|线程|サーバー|データベース|クラスタ|キャッシュ|システム|서버|데이터베이스|시스템|캐시|sunucu*|veritabanı|serwer*|baz* danych",
    ),
    (
        "puzzle",
        "puzzle*|riddle*|logic|knights|knaves|liar*|truth-teller*|weigh*|coins|each of whom|sits|next to|left of|taller than|older than|if all|some of the|crossing|river|boat|probabilit*|dice|drawn|without replacement|game theory|nash equilibri*|payoff*|optimal strategy|shortest path|knapsack|traveling salesman|dynamic programming|rätsel|rompecabezas|acertijo|énigme|enigma|головолом*|задач*|谜题|逻辑|博弈|最优|パズル|論理|퍼즐|논리*",
    ),
];

/// A node of the trie; siblings are linked.
#[derive(Clone, Copy, Default)]
struct Node {
    byte: u8,
    /// Category (from 1) of an entry that ends here: as a whole word, and as a stem.
    whole: u8,
    stem: u8,
    child: u16,
    sibling: u16,
}

/// The trie of all entries, searched byte by byte.
pub struct Trie {
    nodes: Vec<Node>,
    roots: [u16; 256],
}

/// The trie of [`LEXICON`], built at first use.
pub fn trie() -> &'static Trie {
    static TRIE: OnceLock<Trie> = OnceLock::new();
    TRIE.get_or_init(Trie::new)
}

impl Trie {
    fn new() -> Trie {
        let mut trie = Trie { nodes: vec![Node::default()], roots: [0; 256] };
        for (category, (_, entries)) in (1u8..).zip(LEXICON) {
            for entry in entries.split('|') {
                let stem = entry.strip_suffix('*');
                trie.insert(stem.unwrap_or(entry).trim_end().as_bytes(), category, stem.is_some());
            }
        }
        trie
    }

    fn insert(&mut self, entry: &[u8], category: u8, stem: bool) {
        let mut at = 0;
        for (depth, &byte) in entry.iter().enumerate() {
            let first = if depth == 0 { self.roots[usize::from(byte)] } else { self.nodes[at].child };
            at = match self.find(first, byte) {
                Some(known) => known,
                None => {
                    let new = self.nodes.len();
                    // The lexicon is a constant, and a test ensures that it fits.
                    let Ok(link) = u16::try_from(new) else { return };
                    self.nodes.push(Node { byte, sibling: first, ..Node::default() });
                    if depth == 0 {
                        self.roots[usize::from(byte)] = link;
                    } else {
                        self.nodes[at].child = link;
                    }
                    new
                }
            };
        }
        let node = &mut self.nodes[at];
        let slot = if stem { &mut node.stem } else { &mut node.whole };
        if *slot == 0 {
            *slot = category;
        }
    }

    fn find(&self, mut at: u16, byte: u8) -> Option<usize> {
        while at != 0 {
            let node = &self.nodes[usize::from(at)];
            if node.byte == byte {
                return Some(usize::from(at));
            }
            at = node.sibling;
        }
        None
    }

    /// The category, from 0, of the longest entry that `text` begins with. `open`: no word boundary is needed
    /// at its end, as in Chinese.
    pub fn longest(&self, text: &[u8], open: bool) -> Option<usize> {
        let mut best = 0;
        let mut at = self.find(self.roots[usize::from(*text.first()?)], *text.first()?);
        let mut length = 1;
        while let Some(found) = at {
            let node = &self.nodes[found];
            if node.stem != 0 {
                best = node.stem;
            }
            let next = text.get(length).copied();
            if node.whole != 0 && (open || !next.is_some_and(in_word)) {
                best = node.whole;
            }
            at = next.and_then(|byte| self.find(node.child, byte));
            length += 1;
        }
        (best != 0).then(|| usize::from(best) - 1)
    }
}

/// Whether a byte continues a word: letters, digits, and all of UTF-8 beyond ASCII.
pub fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_and_the_trie_has_room_for_all() {
        assert!(trie().nodes.len() < usize::from(u16::MAX));
        for (name, entries) in LEXICON {
            for entry in entries.split('|') {
                let text = entry.trim_end_matches('*').trim_end();
                assert!(!text.is_empty(), "an empty entry in {name}");
                assert!(trie().longest(text.as_bytes(), false).is_some(), "{text}");
            }
        }
    }

    #[test]
    fn stems_go_on_and_whole_words_end() {
        let category = |text: &str| trie().longest(text.as_bytes(), false).map(|at| LEXICON[at].0);
        assert_eq!(category("translating it"), Some("translate"));
        assert_eq!(category("hi, you"), Some("greeting"));
        assert_eq!(category("history"), None);
        assert_eq!(category("step by step"), Some("depth"));
        assert_eq!(category(""), None);
    }
}
