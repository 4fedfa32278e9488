// How search ranks what it finds: pages that have the words in their title or file name before others, and chapters before
// the code and the catalogue of bugs, which have the same words in many names.
var Scorer = {
  score: ([page, title, , , score]) => {
    const words = (text) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u)
      .filter((word) => word.length > 2 && !stopwords.has(word));
    const asked = words(new URLSearchParams(location.search).get("q") ?? "");
    const named = words(`${title} ${page.split("/").pop()}`);
    const found = asked.filter((word) => named.some((name) => name.startsWith(word)));
    const less = page.startsWith("api/") ? 30 : page === "reference/bugs" ? 10 : 0;
    return score - less + (asked.length && 10 * found.length / asked.length);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
