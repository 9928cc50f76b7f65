import assert from "node:assert/strict";
import { test } from "node:test";

import { hasSecret } from "../../static/js/secret-note.js";

const secret = /(?:^|_)(?:token|password)(?:$|_)/i;

for (const text of [
  "A=1\nHF_TOKEN=abc",
  '{\n    "DB_PASSWORD": "x"\n}',
  '{"A": "1", "TOKEN": "x"}',
  "variables:\n  hf_token: abc",
]) {
  test(`a secret is noticed in ${JSON.stringify(text)}`, () => {
    assert.ok(hasSecret(text, secret));
  });
}

for (const text of ["", "TOKEN=", "TOKENIZERS=1", "A=TOKEN", '"password": {\n}', "token"]) {
  test(`nothing is said of ${JSON.stringify(text)}`, () => {
    assert.ok(!hasSecret(text, secret));
  });
}
