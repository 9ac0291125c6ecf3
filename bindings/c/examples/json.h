/* Writes untrusted text into JSON. For the examples: copy it, or use a JSON library. */
#ifndef EXAMPLES_JSON_H
#define EXAMPLES_JSON_H

#include <stddef.h>
#include <stdio.h>

/* Writes `text` to `out` as a JSON string, quotes included, and returns `out`. Returns NULL if `size` bytes are too few;
 * 6 * strlen(text) + 3 always suffice. UTF-8 is copied; the library refuses text in any other encoding. */
static const char *json_string(const char *text, char *out, size_t size)
{
    size_t at = 0;
    if (size < 3) return NULL;
    out[at++] = '"';
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (size - at < 8) return NULL; /* an escape, the closing quote, the NUL */
        if (c < 0x20 || c == '"' || c == '\\') at += (size_t)snprintf(out + at, size - at, "\\u%04x", c);
        else out[at++] = (char)c;
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}

#endif
