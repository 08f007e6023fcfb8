// Tells a click from a drag, which moves the plane, and from the halves of a double click, which zooms.

const STILL_PX = 4;
// Browsers take two clicks for a double click up to about half a second apart; people are faster.
const WAIT_MS = 280;

export class Clicks {
  #from: { x: number; y: number } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  down(x: number, y: number) {
    this.#from = { x, y };
  }

  // Acts after a while, unless a second click makes it a double one.
  up(x: number, y: number, act: () => void) {
    const from = this.#from;
    this.#from = null;
    clearTimeout(this.#timer);
    if (!from || Math.hypot(x - from.x, y - from.y) > STILL_PX) return;
    this.#timer = setTimeout(act, WAIT_MS);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
