// Walks the live page of a running stack in headless Chromium, as a shifter would.
// Usage: node e2e/page.mjs http://127.0.0.1:8081 [FOLDER FOR SCREENSHOTS]
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const [base = "http://127.0.0.1:8081", shots] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) {
  console.log(`skipped: no Chromium at ${executablePath}`);
  process.exit(0);
}
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 1500, height: 1100 }, colorScheme: "dark" });
const complaints = [];
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));

const shot = async (name) => shots && page.screenshot({ path: `${shots}/${name}.png` });
const card = (name) => page.locator(`#plot-${name}`);
const version = async (name) => Number(await card(name).getAttribute("data-version"));

// Different colours on a canvas: an empty one has few.
const colours = (name) =>
  card(name).locator("canvas").first().evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
    return seen.size;
  });

async function until(what, holds, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (!(await holds().catch(() => false))) {
    assert.ok(Date.now() < end, `${what}: not within ${seconds} s`);
    await page.waitForTimeout(100);
  }
}

const tests = {
  "the overview shows the plots of the monitors": async () => {
    await page.goto(base);
    for (const name of ["dom_activity", "dom_rates", "trigger_rates"]) {
      await until(name, () => card(name).locator("canvas").first().isVisible());
    }
    await until("the map is coloured", async () => (await colours("dom_rates")) > 20);
    await shot("overview");
  },
  "the page says that it is live and what runs": async () => {
    await until("live", () => page.getByText("live", { exact: true }).isVisible());
    await until("running", () => page.getByText(/^\d+\/\d+ running/).isVisible());
  },
  "a plot follows the data without a reload": async () => {
    const before = await version("dom_rates");
    await until("a newer version", async () => (await version("dom_rates")) > before);
  },
  "pointing at a place shows its values": async () => {
    const box = await card("dom_rates").locator("canvas").first().boundingBox();
    await until("a tip", async () => {
      for (let step = 0; step < 40; step++) {
        await page.mouse.move(box.x + 60 + (box.width - 150) * (step / 40), box.y + box.height * 0.4);
        if (await card("dom_rates").locator(".tip").isVisible()) return true;
      }
      return false;
    });
    assert.match(await card("dom_rates").locator(".tip").innerText(), /id \d+/);
  },
  "a double click zooms and another one shows all": async () => {
    const canvas = card("dom_rates").locator("canvas").first();
    await canvas.dblclick();
    await until("zoomed", async () => (await canvas.getAttribute("data-zoomed")) === "1");
    await canvas.dblclick();
    await until("whole", async () => (await canvas.getAttribute("data-zoomed")) === "0");
  },
  "every PMT of a detection unit is drawn": async () => {
    const name = await page.locator("article[id^=plot-pmt_rates_du]").first().getAttribute("id");
    await page.goto(`${base}/plot/${name.slice(5)}`);
    await until("the image is coloured", async () => (await colours(name.slice(5))) > 20);
    await shot("pmt_rates");
  },
  "the services page lists every service": async () => {
    await page.goto(`${base}/services.html`);
    await until("rows", async () => (await page.locator("td .state.RUNNING").count()) >= 5);
    await shot("services");
  },
  "the log page shows lines of a service": async () => {
    await page.goto(`${base}/logs.html`);
    await until("lines", async () => (await page.locator(".lines > div").count()) > 0);
    await shot("logs");
  },
  "each plot is a picture too": async () => {
    const answer = await page.request.get(`${base}/plots/dom_rates.png`);
    assert.equal(answer.headers()["content-type"], "image/png");
    assert.ok((await answer.body()).length > 1000);
  },
  "the plain page works without scripts": async () => {
    const plain = await browser.newPage({ javaScriptEnabled: false });
    await plain.goto(`${base}/lite`);
    assert.match(await plain.content(), /trigger_rates/);
    if (shots) await plain.screenshot({ path: `${shots}/lite.png` });
    await plain.close();
  },
  "the browser had nothing to complain about": async () => assert.deepEqual(complaints, []),
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}\n  ${String(error).split("\n").join("\n  ")}`);
    await shot(`failed-${failed}`);
  }
}
await browser.close();
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
