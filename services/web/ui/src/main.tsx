// Starts the page.

import { render } from "preact";

import { App } from "./app";
import { connect } from "./live";
import "./style.css";
import "uplot/dist/uPlot.min.css";

const root = document.getElementById("app");
if (root) {
  connect();
  render(<App />, root);
}
