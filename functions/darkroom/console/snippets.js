// The same call for programs. The API key is never put in: programs read it from $DARKROOM_TOKEN.

/** Return the call that makes a prediction, by the name of the language. */
export function snippets(prediction) {
  const { model } = prediction;
  const input = withoutSignatures(prediction.input ?? {});
  const url = `${location.origin}/v1/models/${model}/predictions`;
  const json = JSON.stringify({ input }, null, 2);
  return {
    curl: [
      `curl -s ${shellText(url)} \\`,
      '  -H "Authorization: Bearer $DARKROOM_TOKEN" \\',
      "  -H 'Content-Type: application/json' \\",
      `  -d ${shellText(json)}`,
    ].join("\n"),
    Python: [
      "import json, os, urllib.request",
      "",
      "request = urllib.request.Request(",
      `    ${JSON.stringify(url)},`,
      `    data=json.dumps(json.loads(${pythonText(json)})).encode(),`,
      "    headers={",
      '        "Authorization": f"Bearer {os.environ[\'DARKROOM_TOKEN\']}",',
      '        "Content-Type": "application/json",',
      "    },",
      ")",
      "prediction = json.load(urllib.request.urlopen(request))",
      'print(prediction["urls"]["get"])',
    ].join("\n"),
    JavaScript: [
      `const answer = await fetch(${JSON.stringify(url)}, {`,
      '  method: "POST",',
      "  headers: {",
      "    Authorization: `Bearer ${process.env.DARKROOM_TOKEN}`,",
      '    "Content-Type": "application/json",',
      "  },",
      `  body: JSON.stringify(${json.replaceAll("\n", "\n  ")}),`,
      "});",
      "console.log(await answer.json());",
    ].join("\n"),
  };
}

function shellText(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** JSON text is valid inside a JSON string, and that is a string of Python's too. */
function pythonText(json) {
  return JSON.stringify(JSON.stringify(JSON.parse(json)));
}

/** Signatures of URLs expire, and would let whoever is given the call see the file. */
function withoutSignatures(value) {
  if (Array.isArray(value)) return value.map(withoutSignatures);
  if (value && typeof value === "object") {
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, withoutSignatures(inner)]),
    );
  }
  const isSigned =
    typeof value === "string" &&
    /^https?:\/\/.*[?&](X-Amz-Signature|Signature)=/.test(value);
  return isSigned ? value.split("?")[0] : value;
}
