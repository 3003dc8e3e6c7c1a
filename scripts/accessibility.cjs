// Opens pages in a headless browser and reports what axe-core finds. Arguments: the browser, how it resolves
// hosts, then name=address for each page; `#ar` at the end asks for it in Arabic.
const fs = require("node:fs");
const puppeteer = require("puppeteer-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [executablePath, resolver, ...pages] = process.argv.slice(2);
const SHOWN = [["light", 1000], ["dark", 1000], ["light", 360], ["dark", 360]];

(async () => {
  const browser = await puppeteer.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=${resolver}`],
  });
  let serious = 0;
  for (const named of pages) {
    const [name, address] = [named.slice(0, named.indexOf("=")), named.slice(named.indexOf("=") + 1)];
    for (const [scheme, width] of SHOWN) {
      const page = await browser.newPage();
      await page.setBypassCSP(true);
      await page.setExtraHTTPHeaders({ "accept-language": address.endsWith("#ar") ? "ar" : "en" });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height: 900 });
      await page.goto(address, { waitUntil: "load" });
      await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run());
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      for (const { id, impact, help, nodes } of found.violations) {
        console.log(`${name} (${scheme}, ${width}): ${impact} ${id}: ${help}`);
        for (const node of nodes) console.log(`    ${node.html.slice(0, 160)}`);
        if (impact === "serious" || impact === "critical") serious += 1;
      }
      if (overflow) {
        console.log(`${name} (${scheme}, ${width}): wider than the screen`);
        serious += 1;
      }
      console.log(`${name} (${scheme}, ${width}): ${found.passes.length} rules passed, ${found.violations.length} not`);
      await page.close();
    }
  }
  await browser.close();
  process.exitCode = serious > 0 ? 1 : 0;
})();
