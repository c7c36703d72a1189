/*-------------------------------------------------------------------------
 * codec_fuzz.c
 *	  Feeds src/dcs/codec.c with whatever libFuzzer thinks of.
 *
 * The first byte chooses the verb, the second the HTTP status, the third how
 * many bytes of the rest come at a time.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "dcs/codec.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition)
{
	if (!condition)
		abort();
}

/* Reads all that the answer shows, for the sanitizer to check. */
static void
use_answer(CodecAnswer *answer)
{
	size_t total = 0;

	require(answer->status <= DCS_GARBAGE);
	require((answer->status == DCS_OK) == (answer->reason[0] == '\0'));
	require(answer->status != DCS_GARBAGE || answer->nkvs == 0);
	require(answer->revision >= 0);
	for (int i = 0; i < answer->nkvs; i++)
		total += strlen(answer->kvs[i].key) + strlen(answer->kvs[i].value);
	require(answer->nkvs == 0 || total > 0);
	require(answer->token == NULL || answer->token[0] != '\0');
	codec_answer_free(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long http_statuses[] = {200, 0, 400, 503};
	CodecStream stream = {0};
	CodecVerb verb;
	long http_status;
	size_t step;
	CodecAnswer answer;
	const char *message;
	size_t length;

	if (size < 3)
		return 0;
	verb = data[0] % (CODEC_AUTHENTICATE + 1);
	http_status = http_statuses[data[1] % 4];
	step = data[2] ? data[2] : 256;
	data += 3;
	size -= 3;

	codec_parse(verb, http_status, (const char *) data, size, &answer);
	use_answer(&answer);

	while (size > 0)
	{
		size_t n = size < step ? size : step;

		codec_stream_append(&stream, data, n);
		data += n;
		size -= n;
		while (codec_stream_next(&stream, &message, &length) == CODEC_NEXT_MESSAGE)
		{
			codec_parse(verb, http_status, message, length, &answer);
			use_answer(&answer);
		}
	}
	codec_stream_free(&stream);
	return 0;
}
