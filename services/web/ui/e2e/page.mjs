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
  "an event display is drawn, told when pointed at, and enlarged": async () => {
    await page.goto(`${base}/plot/ztplot`);
    const canvas = card("ztplot").locator(".plane canvas");
    await until("hits in colours", async () => (await canvas.evaluate((c) => {
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      let blue = 0;
      for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 0 && data[at + 2] > data[at] + 60) blue += 1;
      return blue;
    })) > 100, 90);
    const box = await canvas.boundingBox();
    await until("a tip", async () => {
      for (let y = 0.05; y < 0.9; y += 0.03) {
        for (let x = 0.05; x < 0.95; x += 0.02) {
          await page.mouse.move(box.x + box.width * x, box.y + box.height * y);
          if (await card("ztplot").locator(".tip").isVisible()) return true;
        }
      }
      return false;
    }, 60);
    assert.match(await card("ztplot").locator(".tip").innerText(), /z \[m\]: \d/);
    const panels = () => canvas.getAttribute("data-panels").then(Number);
    const all = await panels();
    if (all > 1) {
      await canvas.dblclick({ position: { x: box.width * 0.25, y: box.height * 0.25 } });
      await until("one panel", async () => (await panels()) === 1);
      await page.getByRole("button", { name: "all panels" }).click();
      await until("all panels", async () => (await panels()) > 1);
    }
    await shot("ztplot");
  },
  "a hit map takes new events as they come and tells them": async () => {
    await page.goto(`${base}/plot/triggermap`);
    const asked = [];
    page.on("request", (request) => request.url().includes("/api/outputs/triggermap") && asked.push(request.url()));
    await until("the map is coloured", async () => (await colours("triggermap")) > 10);
    const before = await version("triggermap");
    await until("a newer version", async () => (await version("triggermap")) > before);
    assert.ok(asked.some((url) => /since=\d+$/.test(url)), `only new events are asked for: ${asked}`);
    const box = await card("triggermap").locator("canvas").boundingBox();
    await page.mouse.move(box.x + box.width - 110, box.y + box.height * 0.5);
    await until("a tip", () => card("triggermap").locator(".tip").isVisible());
    assert.match(await card("triggermap").locator(".tip").innerText(), /event [\d,]+/);
    await shot("triggermap");
  },
  "a click on an event in a hit map opens its z-t-plot, with the DUs chosen": async () => {
    const canvas = card("triggermap").locator("canvas");
    const box = await canvas.boundingBox();
    await until("a small event or a large one", async () => {
      await page.mouse.click(box.x + box.width - 110, box.y + box.height * 0.5);
      await page.waitForURL(/\/plot\/ztplot\?run=\d+&frame_index=\d+&trigger_counter=\d+/, { timeout: 2000 });
      return true;
    });
    const counter = new URL(page.url()).searchParams.get("trigger_counter");
    const panels = () => card("ztplot").locator(".plane canvas").getAttribute("data-panels").then(Number);
    await until("its panels", async () => (await panels()) > 0);
    await shot("event");
    await page.getByLabel("at most").fill("1");
    await page.getByRole("button", { name: "show" }).click();
    await until("one DU", async () => (await panels()) === 1);
    assert.equal(new URL(page.url()).searchParams.get("trigger_counter"), counter, "still the same event");
    await shot("event_one_du");
    await page.getByRole("link", { name: "to the newest event" }).click();
    await until("the newest event", async () => !page.url().includes("trigger_counter"));
    await page.goBack();
    assert.equal(new URL(page.url()).searchParams.get("trigger_counter"), counter);
  },
  "a click on a DOM opens its history, a double click only zooms": async () => {
    await page.goto(`${base}/plot/dom_rates`);
    await until("the map", async () => (await colours("dom_rates")) > 20);
    const canvas = card("dom_rates").locator("canvas").first();
    await canvas.dblclick();
    await page.waitForTimeout(600);
    assert.match(page.url(), /\/plot\/dom_rates$/);
    await canvas.dblclick();
    const box = await canvas.boundingBox();
    await until("a history", async () => {
      for (let step = 0; step < 30 && !page.url().includes("dom_id"); step++) {
        await page.mouse.click(box.x + 60 + (box.width - 160) * (step / 30), box.y + box.height * 0.4);
        await page.waitForTimeout(350);
      }
      return page.url().includes("dom_id");
    }, 60);
    await page.getByRole("link", { name: "1s", exact: true }).click();
    await until("curves", () => card("dom_rates").locator(".chart canvas").isVisible());
    await until("a place", async () => /DU \d+, floor \d+/.test(await card("dom_rates").locator("h2").innerText()));
    await shot("history");
  },
  "every page of the navigation opens": async () => {
    const paths = await page.locator("header nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    assert.ok(paths.length >= 10, String(paths));
    for (const path of paths) {
      await page.goto(base + path);
      await until(`something on ${path}`, () => page.locator("main article, main .absent, main .notice").first().isVisible());
      await shot(`page${path.replaceAll(/\W/g, "_")}`);
    }
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
