// SPDX-License-Identifier: Apache-2.0
/*
 * mktar WORD... [-- WORD...]...: write a tar archive, however wrong, to standard output.
 *
 *	entry TYPE NAME [key=value]...	a header and its contents. Keys: mode uid gid mtime major minor link
 *					data (text) zeros (that many bytes) size (what the header says, octal
 *					digits as they are) magic (ustar gnu v7) sum=bad prefix
 *	pax TYPE KEY=VALUE...		an extended header, type x or g
 *	paxraw TYPE TEXT		the same with its records as they are
 *	gnu TYPE TEXT			a GNU long name, type L or K
 *	zeros N				blocks of zeros
 *	raw TEXT			bytes
 *
 * In every text \xHH is a byte. The archive ends with two zero blocks unless the last command is "noend".
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char header[512];

static size_t unescape(const char *text, char *out)
{
	size_t n = 0;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] == 'x') {
			char hex[3] = {text[2], text[3], 0};

			out[n++] = (char)strtoul(hex, NULL, 16);
			text += 3;
		} else {
			out[n++] = *text;
		}
	}
	out[n] = '\0';
	return n;
}

static void octal(size_t at, int width, unsigned long long value)
{
	snprintf((char *)header + at, (size_t)width, "%0*llo", width - 1, value);
}

static void header_write(bool bad_sum)
{
	unsigned int sum = 0;

	memset(header + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum + bad_sum);
	fwrite(header, 1, 512, stdout);
}

static void padded(const char *data, size_t len)
{
	static const char zeros[512];

	fwrite(data, 1, len, stdout);
	fwrite(zeros, 1, -len & 511, stdout);
}

static void header_begin(char type, const char *name)
{
	memset(header, 0, sizeof(header));
	memcpy(header, name, strlen(name) < 100 ? strlen(name) : 100);
	octal(100, 8, 0644);
	octal(108, 8, 0);
	octal(116, 8, 0);
	octal(124, 12, 0);
	octal(136, 12, 0);
	octal(329, 8, 0);
	octal(337, 8, 0);
	header[156] = type == '@' ? '\0' : (unsigned char)type;
	memcpy(header + 257, "ustar\00000", 8);
}

static void entry(int argc, char **argv)
{
	static char work[1 << 20], data[1 << 20];
	unsigned long long zeros = 0;
	size_t len = 0;
	bool bad_sum = false;

	unescape(argv[2], work);
	header_begin(argv[1][0], work);
	if (argv[1][0] == '5')
		octal(100, 8, 0755);
	for (int i = 3; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		*value++ = '\0';
		if (!strcmp(argv[i], "mode"))
			octal(100, 8, strtoull(value, NULL, 8));
		else if (!strcmp(argv[i], "uid"))
			octal(108, 8, strtoull(value, NULL, 10));
		else if (!strcmp(argv[i], "gid"))
			octal(116, 8, strtoull(value, NULL, 10));
		else if (!strcmp(argv[i], "mtime"))
			octal(136, 12, strtoull(value, NULL, 10));
		else if (!strcmp(argv[i], "major"))
			octal(329, 8, strtoull(value, NULL, 10));
		else if (!strcmp(argv[i], "minor"))
			octal(337, 8, strtoull(value, NULL, 10));
		else if (!strcmp(argv[i], "link"))
			memcpy(header + 157, work, unescape(value, work));
		else if (!strcmp(argv[i], "prefix"))
			memcpy(header + 345, value, strlen(value));
		else if (!strcmp(argv[i], "data"))
			octal(124, 12, len = unescape(value, data));
		else if (!strcmp(argv[i], "zeros"))
			octal(124, 12, zeros = strtoull(value, NULL, 10));
		else if (!strcmp(argv[i], "size"))
			memcpy(header + 124, work, unescape(value, work));
		else if (!strcmp(argv[i], "magic") && !strcmp(value, "gnu"))
			memcpy(header + 257, "ustar  ", 8);
		else if (!strcmp(argv[i], "magic") && !strcmp(value, "v7"))
			memset(header + 257, 0, 255);
		else if (!strcmp(argv[i], "sum"))
			bad_sum = true;
	}
	header_write(bad_sum);
	padded(data, len);
	for (; zeros; zeros -= zeros < 4096 ? zeros : 4096) {
		static const char block[4096];

		padded(block, zeros < 4096 ? (size_t)zeros : 4096);
	}
}

static void extension(char type, const char *text, size_t len)
{
	header_begin(type, "././@Header");
	octal(124, 12, len);
	header_write(false);
	padded(text, len);
}

static void pax(int argc, char **argv)
{
	static char all[4 << 20], work[2 << 20];
	size_t used = 0;

	for (int i = 2; i < argc; i++) {
		size_t len = unescape(argv[i], work), whole = len + 3, digits;
		char number[24];

		/* The length counts its own digits. */
		do {
			digits = (size_t)snprintf(number, sizeof(number), "%zu", whole);
			if (digits + len + 2 == whole)
				break;
			whole = digits + len + 2;
		} while (true);
		used += (size_t)sprintf(all + used, "%s ", number);
		memcpy(all + used, work, len);
		used += len;
		all[used++] = '\n';
	}
	extension(argv[1][0], all, used);
}

static bool command(int argc, char **argv)
{
	static char work[2 << 20];
	static const char zeros[512];

	if (!strcmp(argv[0], "noend"))
		return false;
	if (!strcmp(argv[0], "entry"))
		entry(argc, argv);
	else if (!strcmp(argv[0], "pax"))
		pax(argc, argv);
	else if (!strcmp(argv[0], "paxraw") || !strcmp(argv[0], "gnu"))
		extension(argv[1][0], work, unescape(argv[2], work));
	else if (!strcmp(argv[0], "raw"))
		fwrite(work, 1, unescape(argv[1], work), stdout);
	else if (!strcmp(argv[0], "zeros"))
		for (long n = atol(argv[1]); n; n--)
			fwrite(zeros, 1, 512, stdout);
	return true;
}

int main(int argc, char **argv)
{
	static const char zeros[1024];
	bool end = true;
	int first = 1;

	for (int i = 1; i <= argc; i++) {
		if (i < argc && strcmp(argv[i], "--") != 0)
			continue;
		if (i > first)
			end = command(i - first, argv + first);
		first = i + 1;
	}
	if (end)
		fwrite(zeros, 1, sizeof(zeros), stdout);
	return fflush(stdout) ? 1 : 0;
}
