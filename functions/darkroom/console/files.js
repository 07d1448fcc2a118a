// The control of an input that takes files: by the file picker, by drag and drop, by paste, or as a
// URL. A file is uploaded as soon as it is chosen.

import { upload } from "/console/api.js";
import { announce, button, fill, h } from "/console/dom.js";
import { bytes, cut } from "/console/format.js";

/** Fill `place` with the control. Returns functions like those of other fields. */
export function fileControl(place, { model, name, isList, given, props, onChange }) {
  const { required: _, ...rest } = props;
  let items = [given ?? []].flat().map((url) => ({ url, text: nameIn(url) }));
  let fields = [];
  const list = h("ul", { class: "files" });
  const problem = h("p", { class: "error-text", role: "alert" });
  const input = h("input", {
    ...rest,
    type: "file",
    multiple: isList,
    accept: "image/*,video/*,audio/*",
    on: { change: () => take([...input.files]) },
  });
  const address = h("input", {
    type: "url",
    placeholder: "or paste a URL",
    "aria-label": `${name} URL`,
    on: {
      change: () => {
        const url = address.value.trim();
        if (/^https?:\/\//i.test(url)) put([{ url, text: nameIn(url) }]);
        else if (url) fill(problem, "The URL must begin with https://.");
        address.value = "";
      },
    },
  });
  const paint =
    name === model.mask &&
    button("Paint mask", openPainter, { class: "paint", "aria-haspopup": "dialog" });

  function take(files) {
    fill(problem);
    const chosen = isList ? files : files.slice(0, 1);
    if (chosen.length) put(chosen.map(started));
    input.value = "";
  }

  function started(file) {
    const item = { file, text: file.name || "file", preview: URL.createObjectURL(file) };
    item.done = upload(file).then(
      (url) => {
        item.url = url;
        if (items.includes(item)) {
          draw();
          onChange();
        }
      },
      (error) => {
        item.error = error;
        if (items.includes(item)) draw();
      },
    );
    return item;
  }

  function put(added) {
    if (!isList) items.forEach(release);
    items = isList ? [...items, ...added] : added;
    draw();
    announce(`${name}: ${added.map((item) => cut(item.text, 60)).join(", ")}`);
    onChange();
  }

  function remove(item) {
    release(item);
    items = items.filter((one) => one !== item);
    draw();
    input.focus();
    onChange();
  }

  /** Return the element that shows an item, the same one each time; null if there is nothing. */
  function previewOf(item) {
    const source = shownAt(item);
    if (!item.image && source) {
      item.image = h("img", { src: source, alt: "" });
      item.image.addEventListener("error", () => {
        item.image.hidden = true;
      });
    }
    return item.image;
  }

  function release(item) {
    item.image?.removeAttribute("src"); // else it may still ask for the URL that ends here
    if (item.preview) URL.revokeObjectURL(item.preview);
  }

  function draw() {
    place.classList.toggle("full", items.length > 0 && !isList);
    fill(
      list,
      items.map((item) => {
        const state = item.error
          ? item.error.message
          : item.url
            ? item.file
              ? bytes(item.file.size)
              : ""
            : "Uploading …";
        return h(
          "li",
          { "data-error": Boolean(item.error) },
          previewOf(item),
          h("span", {}, cut(item.text, 60), h("span", { class: "facts" }, state)),
          button("Remove", () => remove(item), { "aria-label": `Remove ${cut(item.text, 40)}` }),
        );
      }),
    );
  }

  async function openPainter() {
    const source = fields.find((field) => field.isFile && field.name !== name && field.picture());
    if (!source) {
      const advice = "Choose the picture first: the mask is painted on it. A picture at another " +
        "site cannot be shown here; choose it as a file.";
      fill(problem, advice);
      return;
    }
    fill(problem);
    const { paintMask } = await import("/console/mask.js");
    paintMask(source.picture(), model.maskRepaints, (blob) => {
      take([new File([blob], "mask.png", { type: "image/png" })]);
      paint.focus();
    });
  }

  function onDrag(event) {
    event.preventDefault();
    place.classList.toggle("over", event.type === "dragenter" || event.type === "dragover");
  }

  function onDrop(event) {
    onDrag(event);
    const { files } = event.dataTransfer;
    if (files.length) {
      take([...files]);
      return;
    }
    const url = event.dataTransfer.getData("text/uri-list").split(/\r?\n/)[0];
    const isPage = url.startsWith(`${location.origin}/console`); // a card's link
    if (/^https?:\/\//i.test(url) && !isPage) put([{ url, text: nameIn(url) }]);
  }

  /** A pasted picture goes to the field that has the focus, else to the first that is empty. */
  function onPaste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || event.defaultPrevented) return;
    const focused = place.contains(document.activeElement);
    const elsewhere = document.activeElement?.closest(".drop");
    if (focused || (!elsewhere && !items.length && name !== model.mask)) {
      event.preventDefault();
      take(files);
    }
  }

  for (const event of ["dragenter", "dragover", "dragleave"]) place.addEventListener(event, onDrag);
  place.addEventListener("drop", onDrop);
  document.addEventListener("paste", onPaste);
  const hint = h("span", { class: "drop-hint", "aria-hidden": "true" }, "Drop, paste or choose");
  fill(place, h("div", { class: "drop-row" }, input, hint), list, address, paint, problem);
  draw();

  const urls = () => items.filter((item) => item.url).map((item) => item.url);
  const value = () => (isList ? (urls().length ? urls() : undefined) : urls()[0]);
  return {
    peek: value,
    isBusy: () => items.some((item) => !item.url && !item.error),
    async read() {
      await Promise.all(items.map((item) => item.done));
      const failed = items.find((item) => item.error);
      if (failed) throw failed.error;
      return value();
    },
    picture: () => (items[0] ? shownAt(items[0]) : null),
    meet: (others) => {
      fields = others;
    },
    end() {
      document.removeEventListener("paste", onPaste);
      items.forEach(release);
    },
  };
}

/** Return the last part of a URL's path, or its host. */
function nameIn(url) {
  try {
    const { host, pathname } = new URL(url);
    return pathname.split("/").pop() || host;
  } catch {
    return String(url);
  }
}

/**
 * Return where a picture can be shown from: a chosen file, or a stored one by its signed URL. The
 * page's policy refuses all other places.
 */
function shownAt(item) {
  const isSigned = /[?&](X-Amz-Signature|Signature)=/.test(item.url ?? "");
  return item.preview ?? (isSigned ? item.url : null);
}
