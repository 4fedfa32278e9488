// How search ranks what it finds: chapters before the reference, which has the same words in many names.
var Scorer = {
  score: ([page, , , , score]) => page.startsWith("api/") ? score - 30 : score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
