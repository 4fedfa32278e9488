// Stands in each page with formulas, before MathJax is loaded. Everything comes from the folder beside the pages.
window.MathJax = {
  loader: { load: ["a11y/assistive-mml", "[tex]/html"] },
  tex: {
    packages: { "[+]": ["html"] },
  },
  output: {
    fontPath: (document.documentElement.dataset.content_root || "./") + "_static/mathjax/mathjax-newcm-font",
    displayOverflow: "scroll",
  },
  options: {
    ignoreHtmlClass: "document|mathjax_ignore",
    processHtmlClass: "math|output_area|mathjax_process",
    // Speech and braille need a worker of several megabytes; assistive MathML serves screen readers without it.
    enableEnrichment: false,
    enableComplexity: false,
    enableExplorer: false,
    enableSpeech: false,
    enableBraille: false,
    menuOptions: { settings: { enrich: false, speech: false, braille: false, assistiveMml: true } },
  },
};
