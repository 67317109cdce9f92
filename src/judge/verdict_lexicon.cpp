// The words that statements of verdicts are made of, in the languages judges write.
#include <algorithm>
#include <unordered_map>

#include "judge/verdict_words.h"
#include "text/unicode.h"

namespace gavel::verdict {
namespace {

struct Row {
  uint64_t roles;
  const char* words;
};

constexpr Row kWords[] = {
    // English
    {kNoun,
     "answer answers response responses assistant assistants option options model models candidate "
     "candidates output outputs reply replies solution solutions completion completions text texts "
     "summary summaries translation translations essay poem story code submission system agent "
     "chatbot bot ai version argument passage document sample generation rewrite message one ones "
     "conversation llm entry number"},
    {kAnswer, "answer"},
    {kFormal, "verdict decision judgment judgement winner ruling"},
    {kAnnounce,
     "result results conclusion choice preference preferred selection selected pick vote "
     "evaluation assessment outcome label final overall better best chosen favorite favourite "
     "determination recommendation judged prediction judge"},
    {kBetter,
     "better best superior preferable preferred stronger strongest favorable favourable winner "
     "winning favored favoured"},
    {kBeats,
     "wins win won beats beat outperforms outperformed surpasses surpassed prevails outshines "
     "outranks outscores"},
    {kWorse, "worse worst inferior weaker weakest poorer loser"},
    {kLoses, "loses lose lost"},
    {kBad,
     "wrong incorrect bad poor false flawed incomplete inaccurate unhelpful irrelevant fails "
     "failed "
     "fail lacks misses ignores mistaken invalid unacceptable badly poorly"},
    {kGood,
     "good helpful accurate correct precise complete thorough comprehensive informative relevant "
     "detailed useful appropriate factual convincing coherent clear reliable faithful truthful "
     "natural fluent insightful engaging suitable satisfactory strong"},
    {kTie, "tie tied ties draw drawn equal equally equals equivalent"},
    {kMore, "equally"},
    {kBoth, "both same neither identical"},
    {kCopula, "is was are were be been being seems appears remains stands goes"},
    {kFiller,
     "the a an its it that this these those i my me our we to go goes going for in of favor favour "
     "as therefore thus so hence then now here should must give given gives awarded award with s d "
     "ll am "
     "final finally ultimately two letter following well ok okay yes above think believe conclude "
     "say find consider also overall would clear who quality terms based clearly much slightly far "
     "definitely bit significantly marginally somewhat "
     "considerably substantially obviously generally arguably simply still just only strictly "
     "certainly undoubtedly easily narrowly nearly quite really quite even truly probably likely "
     "between"},
    {kNot,
     "not isnt wasnt arent doesnt dont didnt cannot cant no never nor neither without hardly"},
    {kAnd, "and"},
    {kOr, "or vs versus either"},
    {kThan, "than over versus compared against"},
    {kMore, "more"},
    {kLess, "less fewer"},
    {kPrefer,
     "prefer prefers choose choosing select selecting pick picking recommend declare call favors "
     "favours vote"},
    {kBecause,
     "because since due while whereas although though but however despite considering as given"},
    {kIf, "if whether unless suppose supposing assuming"},
    {kBy, "by to"},
    {kScore,
     "score scores scored rating ratings rated points point mark marks gets receives "
     "earns"},
    {kRank, "rank ranked ranking"},
    // German
    {kNoun,
     "antwort antworten modell assistent kandidat ausgabe losung ubersetzung zusammenfassung "
     "variante"},
    {kAnswer, "antwort"},
    {kFormal, "urteil entscheidung gewinner sieger endurteil schlussurteil"},
    {kAnnounce, "bewertung fazit ergebnis wertung endergebnis wahl gesamturteil"},
    {kBetter,
     "besser bessere besseren besserer beste bester bestes besten uberlegen uberzeugender"},
    {kBeats, "gewinnt siegt ubertrifft schlagt"},
    {kWorse, "schlechter schlechtere schlechteren unterlegen"},
    {kTie, "unentschieden gleichstand gleich gleichwertig ebenburtig remis"},
    {kBoth, "beide"},
    {kCopula, "ist sind war lautet"},
    {kArticle | kFiller, "der die das la el le les los las il lo"},
    {kFiller,
     "dem den des ein eine einer mein meine fur zu zum zur von an geht deutlich klar etwas viel "
     "eindeutig daher deshalb somit insgesamt jedoch ich"},
    {kNot, "nicht kein keine weder"},
    {kAnd, "und"},
    {kOr, "oder"},
    {kThan, "als"},
    {kMore, "mehr gleich"},
    {kLess, "weniger"},
    {kPrefer, "bevorzuge wahle"},
    {kBecause, "weil da denn wegen aber"},
    {kIf, "ob wenn falls"},
    {kBy, "von"},
    {kScore, "punkte punktzahl bewertung note"},
    // French
    {kNoun, "reponse reponses modele sortie texte resume traduction"},
    {kAnswer, "reponse"},
    {kFormal, "decision jugement gagnant gagnante vainqueur"},
    {kAnnounce, "conclusion resultat choix preference"},
    {kBetter, "meilleur meilleure meilleurs meilleures superieure superieur mieux"},
    {kBeats, "gagne remporte emporte surpasse depasse"},
    {kWorse, "pire inferieure inferieur"},
    {kTie, "egalite aequo egales egaux equivalentes equivalents"},
    {kCopula, "est sont etait cest"},
    {kFiller,
     "une un de du des pour au en ma mon donc ainsi nettement clairement legerement bien beaucoup"},
    {kNot, "ne pas ni non"},
    {kAnd, "et"},
    {kOr, "ou"},
    {kQue, "que"},
    {kMore, "plus"},
    {kLess, "moins"},
    {kPrefer, "prefere choisis"},
    {kBecause, "parce car puisque mais"},
    {kIf, "si"},
    // Spanish, Portuguese, Italian
    {kNoun,
     "respuesta respuestas asistente modelo opcion candidato salida texto resposta respostas opcao "
     "risposta risposte assistente opzione modello"},
    {kAnswer, "respuesta resposta risposta"},
    {kFormal,
     "veredicto juicio ganador ganadora fallo veredito decisao julgamento vencedor vencedora "
     "verdetto decisione giudizio vincitore vincitrice"},
    {kAnnounce,
     "resultado eleccion preferencia conclusao escolha conclusione risultato scelta conclusion"},
    {kBetter,
     "mejor mejores preferible melhor melhores migliore migliori superiore meglio preferibile"},
    {kBeats, "gana vence supera ganha batte"},
    {kWorse, "peor peores pior piores peggiore peggio inferiore"},
    {kTie, "empate empatan iguales igual pareggio parita uguali pari iguais"},
    {kBoth, "ambas ambos entrambe entrambi"},
    {kCopula, "es son fue sao foi sono e"},
    {kFiller,
     "una uno del por tanto claramente ligeramente mucho o os as da do um uma di della dello gli "
     "favore per mio mia minha meu mi al en"},
    {kArticle | kFiller, "la"},
    {kAnd, "y e"},
    {kOr, "o oppure"},
    {kQue, "che di do del della"},
    {kMore, "mas mais piu"},
    {kLess, "menos meno"},
    {kPrefer, "prefiero elijo prefiro escolho preferisco scelgo"},
    {kBecause, "porque ya pero debido perche ma mas"},
    {kIf, "se"},
    {kScore, "puntuacion puntos pontuacao punteggio"},
    // Dutch, Polish, Turkish, Indonesian
    {kNoun, "antwoord antwoorden optie odpowiedz odpowiedzi cevap yanit jawaban"},
    {kAnswer, "antwoord odpowiedz cevap jawaban"},
    {kFormal,
     "oordeel beslissing winnaar werdykt decyzja zwyciezca wyrok karar hukum kazanan keputusan "
     "putusan pemenang"},
    {kAnnounce, "conclusie resultaat keuze wniosek wynik wybor sonuc kesimpulan"},
    {kBetter, "beter betere lepsza lepszy lepsze najlepsza daha iyi baik"},
    {kBeats, "wint verslaat wygrywa przewyzsza kazanir"},
    {kWorse, "slechter gorsza gorszy"},
    {kTie, "gelijk gelijkspel gelijkwaardig remis rowne berabere seri imbang"},
    {kBoth, "obie oba"},
    {kCopula, "jest sa adalah"},
    {kFiller, "het een mijn van voor moja moim lebih daha"},
    {kNot, "niet geen nie tidak degil"},
    {kAnd, "en i ve dan"},
    {kOr, "of lub albo atau veya"},
    {kThan, "dan niz od daripada"},
    {kBecause, "omdat maar poniewaz bo ale karena tetapi cunku"},
    {kIf, "czy jesli"},
    // Russian, Ukrainian
    {kNoun,
     "ответ ответа ответу ответы ответе ответом вариант варианта модель модели ассистент "
     "ассистента "
     "помощник текст перевод відповідь відповіді"},
    {kAnswer, "ответ відповідь"},
    {kFormal, "вердикт решение победитель приговор рішення переможець"},
    {kAnnounce, "вывод итог результат выбор заключение оценка висновок"},
    {kBetter,
     "лучше лучший лучшая лучшее лучшим лучшей наилучший предпочтительнее краща кращий краще"},
    {kBeats, "побеждает превосходит выигрывает перемагає"},
    {kWorse, "хуже худший гірша гірше"},
    {kTie, "ничья равны равно одинаково одинаковы равноценны равнозначны нічия"},
    {kBoth, "оба обе"},
    {kCopula, "это есть является"},
    {kFiller,
     "в на за пользу мой мое моя мой окончательный окончательное итоговый явно значительно немного "
     "гораздо намного следовательно таким образом считаю что я"},
    {kNot, "не нет ни"},
    {kAnd, "и і та"},
    {kOr, "или либо або"},
    {kThan, "чем ніж"},
    {kMore, "более"},
    {kLess, "менее"},
    {kPrefer, "предпочитаю выбираю"},
    {kBecause, "потому так поскольку но а однако тому"},
    {kIf, "если якщо"},
    {kScore, "баллов балл баллы оценка"},
    // Chinese
    {kNoun,
     "回答 答案 回复 回覆 助手 模型 选项 選項 输出 輸出 答复 答覆 响应 助理 候选 个 個 号 號 方案 "
     "版本 文本 译文"},
    {kAnswer, "答案"},
    {kFormal,
     "判决 裁决 裁定 判定 判断 决定 决策 胜者 胜出者 获胜者 赢家 优胜者 裁決 判斷 決定 勝者 贏家"},
    {kAnnounce,
     "结论 結論 结果 結果 选择 選擇 最终答案 最佳答案 偏好 评判 評判 总结 總結 最终选择"},
    {kBetter,
     "更好 更优 更佳 较好 较优 更胜一筹 最好 最佳 胜出 获胜 优 好 更强 占优 更合适 勝出 獲勝 較好 "
     "較佳 更優 佳 "
     "更好的 更优的 更佳的 最佳的"},
    {kBeats, "优于 胜过 好于 超过 強於 優於 勝過 好過"},
    {kWorse, "更差 较差 較差 最差 差"},
    {kLoses, "劣于 不如 逊于 差于 劣於 遜於"},
    {kBad, "错误 不正确 不完整"},
    {kTie, "平局 平手 打平 不相上下 相当 一样好 同样好 难分伯仲 持平 并列 相當 一樣好 和局"},
    {kBoth, "两者 兩者 都 两个 兩個 均"},
    {kCopula, "是 为 為 就是"},
    {kFiller,
     "的 了 我 认为 認為 觉得 最终 最終 因此 所以 综上 综上所述 总的来说 我的 方 显然 明显 略 稍 "
     "第 属于 应该 应 会 "
     "在 比较 整体 整体上 总体 那么 于是 它"},
    {kMore, "更 较 更加"},
    {kNot, "不 没 没有 并非 非 不是 並非"},
    {kAnd, "和 与 跟 及 與"},
    {kOr, "或 或者 还是 還是"},
    {kThan, "比 相比"},
    {kPrefer, "我选 我选择 选 选择 選擇 倾向 倾向于 支持 選"},
    {kBecause, "因为 由于 但 但是 而 因為 由於 虽然"},
    {kIf, "如果 是否 若"},
    {kScore, "分 得分 评分 分数 評分 得分为"},
    // Japanese
    {kNoun, "解答 応答 返答 アシスタント モデル 選択肢 出力 番目 つ目"},
    {kFormal, "評決 判決 決定 最終判定 最終判断"},
    {kAnnounce, "選択 最終回答 評価"},
    {kBetter,
     "優れ 優れて 優れている 優れています 良い よい 良く 良かった 優秀 勝ち 優位 好ましい"},
    {kWorse, "劣る 劣って 劣り 悪い"},
    {kTie, "引き分け 引分け 同点 互角 同等 同じくらい"},
    {kBoth, "両方 両者 どちらも"},
    {kCopula, "は が です だ である でしょう"},
    {kFiller, "の と思います 私 私は 最終的 最終的に したがって よって 明らかに 少し もっと"},
    {kHou, "の方が のほうが 方が ほうが"},
    {kYori, "より よりも に比べて 보다"},
    {kNot, "ない ません ではない ではありません 않 아니"},
    {kAnd, "と や 와 과"},
    {kOr, "か または 또는"},
    {kBecause, "なぜなら ので から"},
    // Swedish, Danish, Norwegian, Czech, Hungarian, Romanian, Greek, Vietnamese, Thai
    {kNoun, "svar svaret odpoved valasz raspuns raspunsul απαντηση tra loi cau"},
    {kFormal,
     "domslut dom beslut afgorelse dommen avgjorelse vinnare vinder vinner verdikt rozsudek "
     "rozhodnuti vitez itelet dontes gyoztes hotarare castigator αποφαση ετυμηγορια νικητης "
     "คําตดสน"},
    {kBetter, "battre bedre bast lepsi jobb mai καλυτερη καλυτερο tot hon"},
    {kBeats, "vinner vinder vyhrava nyer"},
    {kWorse, "samre horsi rosszabb χειροτερη"},
    {kTie, "oavgjort uafgjort uavgjort remiza dontetlen egalitate ισοπαλια hoa"},
    {kCopula, "ar ειναι este je"},
    {kFiller, "η το buna phan quyet"},
    {kFormal, "quyet"},
    {kOr, "eller nebo vagy sau ή hoac"},
    {kNot, "inte ikke neni nem δεν khong"},
    {kThan, "an end enn nez mint decat από"},
    // Korean, Arabic, Hindi
    {kNoun, "답변 응답 대답 답 모델 어시스턴트 옵션 번째 الاجابة اجابة الرد उत्तर"},
    {kAnswer, "답 정답"},
    {kFormal, "판정 판결 평결 결정 승자 우승자 판단 최종판정 الحكم القرار الفائز निर्णय फैसला विजेता"},
    {kAnnounce, "결론 결과 선택 النتيجة"},
    {kBetter,
     "낫다 낫습니다 나은 좋다 좋습니다 좋은 우수 우수하다 우수합니다 뛰어납니다 뛰어나다 더낫다 "
     "افضل बेहतर"},
    {kTie, "무승부 동점 동등 تعادل बराबर"},
    {kCopula, "은 는 이 가 입니다 이다 هو هي है"},
    {kFiller, "더 가장 저는 최종"},
};

struct SideRow {
  Verdict side;
  Form form;
  const char* words;
};

constexpr SideRow kSides[] = {
    {Verdict::a, Form::upper, "a а α"},
    {Verdict::b, Form::upper, "b б в β"},
    {Verdict::tie, Form::upper, "c"},
    {Verdict::a, Form::ordinal,
     "first 1st erste ersten erster premiere premier primera primero primer prima primo primeira "
     "eerste pierwsza первый первая первого перший перша 第一 最初の 第一个 第一個 一つ目 一番目 "
     "첫 첫번째"},
    {Verdict::b, Form::ordinal,
     "second 2nd zweite zweiten zweiter deuxieme seconde segunda segundo seconda secondo tweede "
     "druga второй вторая второго другий друга 第二 第二个 第二個 二つ目 二番目 두 두번째"},
    {Verdict::a, Form::spelled, "one 一 甲"},
    {Verdict::b, Form::spelled, "two 二 乙"},
};

struct Lexicon {
  std::unordered_map<std::string, Word> words;
  size_t longest = 0;  // of those of a script without spaces, in bytes

  template <typename Change>
  void each(const char* list, const Change& change) {
    const std::string folded = fold(list);
    for (size_t i = 0; i < folded.size();) {
      const size_t end = std::min(folded.find(' ', i), folded.size());
      if (end > i) {
        change(words[folded.substr(i, end - i)]);
        size_t first = i;
        if (is_unspaced(unicode::next(folded, first))) longest = std::max(longest, end - i);
      }
      i = end + 1;
    }
  }

  Lexicon() {
    for (const Row& row : kWords) each(row.words, [&](Word& w) { w.roles |= row.roles; });
    for (const SideRow& row : kSides)
      each(row.words, [&](Word& w) {
        w.side = row.side;
        w.form = row.form;
        // Where it names no answer, any letter is passed over as the article "a" is: one answer's
        // must not be read otherwise than the other's.
        if (row.form == Form::upper && row.side != Verdict::tie) w.roles = kFiller;
      });
  }
};

const Lexicon& lexicon() {
  static const Lexicon lexicon;
  return lexicon;
}

}  // namespace

bool is_unspaced(char32_t c) {
  return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) ||
         (c >= 0xAC00 && c <= 0xD7AF);
}

std::string fold(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = unicode::next(text, at);
    if (c < 0x80 || is_unspaced(c)) {
      unicode::append(out, unicode::to_lower(c));
      continue;
    }
    const std::string parts =
        unicode::normalize(text.substr(begin, at - begin), unicode::Form::nfkd);
    for (size_t i = 0; i < parts.size();) {
      const char32_t part = unicode::next(parts, i);
      if (!unicode::is_mark(part)) unicode::append(out, unicode::to_lower(part));
    }
  }
  return out;
}

const Word* look_up(const std::string& folded) {
  const auto it = lexicon().words.find(folded);
  return it == lexicon().words.end() ? nullptr : &it->second;
}

const Word* look_up_prefix(std::string_view text, size_t& length) {
  for (length = std::min(text.size(), lexicon().longest); length > 0; --length) {
    const bool whole = length == text.size() || (text[length] & 0xC0) != 0x80;
    if (!whole) continue;
    if (const Word* word = look_up(std::string(text.substr(0, length)))) return word;
  }
  return nullptr;
}

}  // namespace gavel::verdict
