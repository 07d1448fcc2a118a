// The mask painter: a canvas above the picture. The picture's pixels are never read, so it may come
// from anywhere.

import { button, fill, h, newId, openDialog, stateText } from "/console/dom.js";

const MOST_SIDE = 8192;
const SHADE = "rgba(214, 62, 38, 1)";

/**
 * Let the visitor paint what is to be repainted. `repaints` is the color of that part in the mask,
 * `white` or `black`. `onDone` gets the mask, a PNG of the picture's own size.
 */
export function paintMask(source, repaints, onDone) {
  const place = h("div", {}, stateText("Loading the picture …"));
  const dialog = openDialog("Paint what is to be repainted", place, { class: "painter" });
  const picture = h("img", { src: source, alt: "The picture under the mask" });
  picture.addEventListener("error", () => {
    fill(place, stateText("The picture cannot be shown, so no mask can be painted on it."));
  });
  picture.addEventListener("load", () => {
    const { naturalWidth: width, naturalHeight: height } = picture;
    if (Math.max(width, height) > MOST_SIDE) {
      fill(place, stateText(`A side may have ${MOST_SIDE} pixels at most.`));
      return;
    }
    const painter = new Painter(picture, width, height);
    fill(place, painter.element, painter.tools(finish));
    painter.canvas.focus();

    function finish() {
      painter.toBlob(repaints, (blob) => {
        dialog.close();
        onDone(blob);
      });
    }
  });
}

class Painter {
  constructor(picture, width, height) {
    this.width = width;
    this.height = height;
    this.size = Math.max(4, Math.round(Math.min(width, height) / 8));
    this.erases = false;
    this.shapes = []; // strokes and rectangles, in order; undo takes the last
    this.cursor = { x: Math.round(width / 2), y: Math.round(height / 2) };
    this.stroke = null;
    this.canvas = h("canvas", {
      width,
      height,
      tabindex: "0",
      role: "img",
      "aria-label": "Mask. Arrow keys move the brush, space paints.",
    });
    this.pen = this.canvas.getContext("2d");
    this.mark = h("div", { class: "brush", "aria-hidden": "true" });
    this.element = h("div", { class: "easel" }, picture, this.canvas, this.mark);
    this.said = h("p", { class: "facts", role: "status" });
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.focus();
      canvas.setPointerCapture(event.pointerId);
      this.begin(this.at(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      this.place(this.at(event));
      if (this.stroke) for (const one of coalesced(event)) this.extend(this.at(one));
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => this.finishStroke());
    }
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.width,
      y: ((event.clientY - box.top) / box.height) * this.height,
    };
  }

  onKey(event) {
    const step = Math.max(1, Math.round(this.size / (event.shiftKey ? 8 : 2)));
    const moves = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    if (moves[event.key]) {
      const [x, y] = moves[event.key];
      this.place({
        x: Math.min(this.width, Math.max(0, this.cursor.x + x)),
        y: Math.min(this.height, Math.max(0, this.cursor.y + y)),
      });
      if (event.ctrlKey || event.metaKey) this.dot();
    } else if (event.key === " ") {
      this.dot();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      this.undo();
    } else {
      return;
    }
    event.preventDefault();
  }

  dot() {
    this.begin(this.cursor);
    this.finishStroke();
  }

  place(point) {
    this.cursor = point;
    const box = this.canvas.getBoundingClientRect();
    const scale = box.width / this.width;
    this.mark.style.width = `${this.size * scale}px`;
    this.mark.style.height = `${this.size * scale}px`;
    this.mark.style.left = `${(point.x - this.size / 2) * scale}px`;
    this.mark.style.top = `${(point.y - this.size / 2) * scale}px`;
  }

  begin(point) {
    this.stroke = { size: this.size, erases: this.erases, points: [point] };
    this.place(point);
    drawStroke(this.pen, this.stroke, SHADE, 0);
  }

  extend(point) {
    const from = this.stroke.points.length - 1;
    this.stroke.points.push(point);
    drawStroke(this.pen, this.stroke, SHADE, from);
  }

  finishStroke() {
    if (!this.stroke) return;
    this.add(this.stroke);
    this.stroke = null;
  }

  add(shape) {
    this.shapes.push(shape);
    this.tell();
  }

  undo() {
    this.shapes.pop();
    this.redraw();
  }

  clear() {
    this.shapes = [];
    this.redraw();
  }

  redraw() {
    this.pen.clearRect(0, 0, this.width, this.height);
    for (const shape of this.shapes) drawShape(this.pen, shape, SHADE);
    this.tell();
  }

  tell() {
    const number = this.shapes.length;
    const marks = number === 1 ? "1 mark" : `${number} marks`;
    fill(this.said, number ? marks : "Nothing is painted yet.");
    this.done.disabled = !number;
    this.undoButton.disabled = !number;
    this.clearButton.disabled = !number;
  }

  rectangle(x, y, width, height) {
    const shape = { x, y, width, height, erases: this.erases };
    drawShape(this.pen, shape, SHADE);
    this.add(shape);
  }

  tools(finish) {
    const [sizeId, eraseId] = [newId("size"), newId("erase")];
    const size = h("input", {
      id: sizeId,
      type: "range",
      min: 2,
      max: Math.max(8, Math.round(Math.min(this.width, this.height) / 2)),
      value: this.size,
      on: {
        input: () => {
          this.size = size.valueAsNumber;
          this.place(this.cursor);
        },
      },
    });
    const erase = h("input", {
      id: eraseId,
      type: "checkbox",
      on: {
        change: () => {
          this.erases = erase.checked;
        },
      },
    });
    this.done = button("Use mask", finish, { class: "primary" });
    this.undoButton = button("Undo", () => this.undo());
    this.clearButton = button("Clear", () => this.clear());
    this.tell();
    return h(
      "div",
      { class: "tools" },
      h(
        "div",
        { class: "tool-row" },
        h("div", { class: "field" }, h("label", { for: sizeId }, "Brush size"), size),
        h("div", { class: "check" }, erase, h("label", { for: eraseId }, "Erase")),
        this.undoButton,
        this.clearButton,
      ),
      this.rectangleFields(),
      h("div", { class: "actions" }, this.done, this.said),
    );
  }

  rectangleFields() {
    const start = {
      Left: Math.round(this.width / 4),
      Top: Math.round(this.height / 4),
      Width: Math.round(this.width / 2),
      Height: Math.round(this.height / 2),
    };
    const inputs = {};
    const fields = Object.entries(start).map(([name, value]) => {
      const id = newId("rectangle");
      inputs[name] = h("input", { id, type: "number", min: 0, value });
      return h("div", { class: "field" }, h("label", { for: id }, name), inputs[name]);
    });
    const add = () => {
      const [x, y, width, height] = Object.values(inputs).map((one) => one.valueAsNumber || 0);
      if (width > 0 && height > 0) this.rectangle(x, y, width, height);
    };
    return h(
      "fieldset",
      { class: "tool-row" },
      h("legend", {}, "Rectangle, in pixels"),
      fields,
      button("Add rectangle", add),
    );
  }

  /** Hand on the mask: the painted part in the color that the model repaints. */
  toBlob(repaints, take) {
    const canvas = h("canvas", { width: this.width, height: this.height });
    const pen = canvas.getContext("2d");
    for (const shape of this.shapes) drawShape(pen, shape, repaints);
    // The rest is filled behind the shapes, so that erased parts have its color too.
    pen.globalCompositeOperation = "destination-over";
    pen.fillStyle = repaints === "white" ? "black" : "white";
    pen.fillRect(0, 0, this.width, this.height);
    canvas.toBlob(take, "image/png");
  }
}

function coalesced(event) {
  const found = event.getCoalescedEvents?.() ?? [];
  return found.length ? found : [event];
}

function drawShape(pen, shape, color) {
  if (shape.points) {
    drawStroke(pen, shape, color, 0);
    return;
  }
  pen.globalCompositeOperation = shape.erases ? "destination-out" : "source-over";
  pen.fillStyle = color;
  pen.fillRect(shape.x, shape.y, shape.width, shape.height);
}

/** Draw a stroke from one of its points on. */
function drawStroke(pen, stroke, color, from) {
  pen.globalCompositeOperation = stroke.erases ? "destination-out" : "source-over";
  pen.strokeStyle = color;
  pen.fillStyle = color;
  pen.lineWidth = stroke.size;
  pen.lineCap = "round";
  pen.lineJoin = "round";
  const points = stroke.points.slice(from);
  pen.beginPath();
  if (points.length === 1) {
    pen.arc(points[0].x, points[0].y, stroke.size / 2, 0, 2 * Math.PI);
    pen.fill();
    return;
  }
  pen.moveTo(points[0].x, points[0].y);
  for (const point of points.slice(1)) pen.lineTo(point.x, point.y);
  pen.stroke();
}
