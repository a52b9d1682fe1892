/** The two classes that @msgpack/msgpack wants of its engine and k6 lacks. UTF-8 by way of percent-encoding: slow, and right for every string. */
class Utf8Encoder {
  encode(text) {
    const escaped = encodeURIComponent(text);
    const bytes = [];
    for (let i = 0; i < escaped.length; i++) {
      if (escaped[i] !== '%') bytes.push(escaped.charCodeAt(i));
      else {
        bytes.push(Number.parseInt(escaped.slice(i + 1, i + 3), 16));
        i += 2;
      }
    }
    return new Uint8Array(bytes);
  }

  encodeInto(text, target) {
    const bytes = this.encode(text);
    target.set(bytes);
    return { read: text.length, written: bytes.length };
  }
}

class Utf8Decoder {
  decode(bytes) {
    let escaped = '';
    for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, '0')}`;
    return decodeURIComponent(escaped);
  }
}

globalThis.TextEncoder ??= Utf8Encoder;
globalThis.TextDecoder ??= Utf8Decoder;
