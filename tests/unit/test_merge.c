// SPDX-License-Identifier: Apache-2.0
/* Layers one over another: what the merged tree has. Through real tables, in a file without a name. */
#include "base/err.h"
#include "oci/image/name.h"
#include "oci/image/table.h"
#include "oci/image/tree.h"
#include "tests/unit/cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LAYERS_MAX 4

/* A layer in words: "d name", "f name", "l name target", "h name target"; mode tells them apart later. */
struct layer {
	const char *const *lines; /* NULL at the end */
};

struct merged {
	struct table tables[LAYERS_MAX];
	size_t n;
	struct tree tree;
	struct err err;
};

static void entry_parse(const char *line, char *work, struct table_entry *entry)
{
	char *target;

	strcpy(work, line + 2);
	target = strchr(work, ' ');
	if (target)
		*target++ = '\0';
	*entry = (struct table_entry){.path = work, .link = target ? target : "", .mode = 0644};
	switch (line[0]) {
	case 'd':
		entry->type = TAR_DIR;
		break;
	case 'l':
		entry->type = TAR_SYMLINK;
		break;
	case 'h':
		entry->type = TAR_HARDLINK;
		break;
	default:
		entry->type = TAR_FILE;
	}
	entry->kind = (uint8_t)name_classify(work);
}

static void table_make(const char *const *lines, struct table *table)
{
	int fd = memfd_create("table", 0);
	struct table_writer writer;
	struct table_info info = {0};

	assert_int_equal(table_writer_init(&writer, fd, UINT64_MAX), 0);
	for (; *lines; lines++) {
		struct table_entry entry;
		char work[256];

		entry_parse(*lines, work, &entry);
		assert_int_equal(table_write(&writer, &entry), 0);
	}
	assert_int_equal(table_writer_finish(&writer, &info), 0);
	table_writer_done(&writer);
	assert_int_equal(table_open(table, fd), 0);
	close(fd);
}

static int merge(struct merged *m, const char *const *const *layers)
{
	int ret = 0;

	memset(m, 0, sizeof(*m));
	assert_int_equal(tree_init(&m->tree, &m->err), 0);
	for (; layers[m->n] && !ret; m->n++) {
		table_make(layers[m->n], &m->tables[m->n]);
		ret = tree_apply(&m->tree, &m->tables[m->n], (uint16_t)m->n, &m->err);
	}
	if (!ret)
		tree_finish(&m->tree);
	return ret;
}

static void merged_done(struct merged *m)
{
	tree_done(&m->tree);
	for (size_t i = 0; i < m->n; i++)
		table_close(&m->tables[i]);
}

static void dump(const struct tree_node *dir, const char *path, char *out)
{
	for (const struct tree_node *node = dir->child; node; node = node->next) {
		char sub[512];

		snprintf(sub, sizeof(sub), "%s/%.*s", path, node->name_len, node->name);
		sprintf(out + strlen(out), "%s%s ", sub, tree_is_dir(node) ? "/" : "");
		dump(node, sub, out);
	}
}

#define LAYER(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LAYERS(...) ((const char *const *const[]){__VA_ARGS__, NULL})

static void expect(const char *const *const *layers, const char *tree)
{
	struct merged m;
	char text[4096] = "";

	if (merge(&m, layers))
		fail_msg("refused: %s", m.err.text);
	dump(m.tree.root, "", text);
	assert_string_equal(text, tree);
	merged_done(&m);
}

static void expect_refused(const char *const *const *layers, const char *why)
{
	struct merged m;

	assert_int_equal(merge(&m, layers), -EBADMSG);
	if (!strstr(m.err.text, why))
		fail_msg("refused for another reason: %s", m.err.text);
	merged_done(&m);
}

static void test_whiteouts_hide_what_is_below(void **state)
{
	(void)state;
	expect(LAYERS(LAYER("f a", "f b", "d c", "f c/d"), LAYER("f .wh.a", "f .wh.c")), "/b ");
	expect(LAYERS(LAYER("f a/b", "f a/c"), LAYER("f a/.wh.b")), "/a/ /a/c ");
	expect(LAYERS(LAYER("f a"), LAYER("f .wh.a"), LAYER("f a")), "/a ");
	expect(LAYERS(LAYER("f a"), LAYER("f .wh.x", "f x/.wh.y", "f a/.wh.z")), "/a ");
}

static void test_whiteouts_leave_their_own_layer_alone(void **state)
{
	(void)state;
	expect(LAYERS(LAYER("f a"), LAYER("f a", "f .wh.a")), "/a ");
	expect(LAYERS(LAYER("f a"), LAYER("f .wh.a", "f a")), "/a ");
	expect(LAYERS(LAYER("f d/old"), LAYER("f d/new", "f d/.wh..wh..opq")), "/d/ /d/new ");
	expect(LAYERS(LAYER("f d/old", "f d/sub/old"), LAYER("f d/.wh..wh..opq", "f d/sub/new")),
		"/d/ /d/sub/ /d/sub/new ");
}

static void test_opaque_root(void **state)
{
	(void)state;
	expect(LAYERS(LAYER("f a", "f b/c"), LAYER("f .wh..wh..opq", "f n")), "/n ");
}

static void test_last_of_a_name_wins(void **state)
{
	(void)state;
	expect(LAYERS(LAYER("f a", "d a", "f a/b")), "/a/ /a/b ");
	expect(LAYERS(LAYER("f a/b", "f a")), "/a ");
	expect(LAYERS(LAYER("d a", "f a/b", "d a")), "/a/ /a/b ");
	expect(LAYERS(LAYER("f a/b"), LAYER("d a")), "/a/ /a/b ");
	expect(LAYERS(LAYER("f a/b"), LAYER("l a x")), "/a ");
	expect(LAYERS(LAYER("l a x"), LAYER("d a", "f a/b")), "/a/ /a/b ");
}

static void test_a_folder_takes_the_place_of_a_lower_link(void **state)
{
	(void)state;
	expect(LAYERS(LAYER("l a etc", "d etc"), LAYER("f a/passwd")), "/a/ /a/passwd /etc/ ");
	expect(LAYERS(LAYER("f a"), LAYER("f a/b/c")), "/a/ /a/b/ /a/b/c ");
}

static void test_through_a_link_is_refused(void **state)
{
	(void)state;
	expect_refused(LAYERS(LAYER("l a etc", "f a/passwd")), "symbolic link");
	expect_refused(LAYERS(LAYER("f a", "f a/b")), "no folder");
	expect_refused(LAYERS(LAYER("l a etc"), LAYER("f a/.wh.passwd")), "symbolic link");
	expect_refused(LAYERS(LAYER("l a etc"), LAYER("f a/.wh..wh..opq")), "symbolic link");
	expect_refused(LAYERS(LAYER("l a etc", "h b a/x")), "symbolic link");
}

static const struct tree_node *find(const struct merged *m, const char *name)
{
	for (const struct tree_node *node = m->tree.root->child; node; node = node->next) {
		if (strlen(name) == node->name_len && memcmp(node->name, name, node->name_len) == 0)
			return node;
	}
	return NULL;
}

static void test_hard_links(void **state)
{
	struct merged m;

	(void)state;
	assert_int_equal(merge(&m, LAYERS(LAYER("f a"), LAYER("h b a"), LAYER("h c b", "h c c"))), 0);
	assert_ptr_equal(find(&m, "a")->inode, find(&m, "b")->inode);
	assert_ptr_equal(find(&m, "a")->inode, find(&m, "c")->inode);
	assert_int_equal(find(&m, "a")->inode->nlink, 3);
	assert_int_equal(find(&m, "a")->inode->layer, 0);
	merged_done(&m);
	/* The inode stays when a name goes, or is replaced. */
	assert_int_equal(merge(&m, LAYERS(LAYER("f a", "h b a"), LAYER("f .wh.a"), LAYER("f c"))), 0);
	assert_null(find(&m, "a"));
	assert_int_equal(find(&m, "b")->inode->nlink, 1);
	merged_done(&m);
	assert_int_equal(merge(&m, LAYERS(LAYER("f a", "h b a"), LAYER("f a"))), 0);
	assert_ptr_not_equal(find(&m, "a")->inode, find(&m, "b")->inode);
	merged_done(&m);
	/* The target may even lie in what the link replaces. */
	expect(LAYERS(LAYER("f d/x"), LAYER("h d d/x")), "/d ");
	expect_refused(LAYERS(LAYER("h a b", "f b")), "not there");
	expect_refused(LAYERS(LAYER("d a", "h b a")), "folder");
	expect_refused(LAYERS(LAYER("f a"), LAYER("f .wh.a", "h b a")), "not there");
}

static void test_folder_links_are_counted(void **state)
{
	struct merged m;

	(void)state;
	assert_int_equal(merge(&m, LAYERS(LAYER("d a", "d a/b", "d a/c", "f a/f"))), 0);
	assert_int_equal(m.tree.root->inode->nlink, 3);
	assert_int_equal(find(&m, "a")->inode->nlink, 4);
	merged_done(&m);
}

static void test_folder_attributes_change_in_place(void **state)
{
	struct merged m;

	(void)state;
	assert_int_equal(merge(&m, LAYERS(LAYER("f a/b"), LAYER("d a"))), 0);
	assert_int_equal(find(&m, "a")->inode->mode, 0644);
	assert_non_null(find(&m, "a")->child);
	assert_int_equal(m.tree.root->inode->mode, 0755);
	merged_done(&m);
	expect_refused(LAYERS(LAYER("f ")), "root of the image");
}

/* Names far beyond the first size of the index, in one folder, come out sorted and complete. */
static void test_many_names_are_sorted(void **state)
{
	enum { COUNT = 20000 };
	int fd = memfd_create("table", 0), n = 0;
	struct table_writer writer;
	struct table_info info = {0};
	struct table table;
	struct tree tree;
	struct err err = ERR_INIT;
	char last[16] = "";

	(void)state;
	assert_int_equal(table_writer_init(&writer, fd, UINT64_MAX), 0);
	for (unsigned int i = 0; i < COUNT; i++) {
		char name[16];
		struct table_entry entry = {.type = TAR_FILE, .path = name, .link = "", .kind = NAME_PLAIN};

		snprintf(name, sizeof(name), "%u", i * 7919u % COUNT);
		assert_int_equal(table_write(&writer, &entry), 0);
	}
	assert_int_equal(table_writer_finish(&writer, &info), 0);
	table_writer_done(&writer);
	assert_int_equal(table_open(&table, fd), 0);
	assert_int_equal(tree_init(&tree, &err), 0);
	assert_int_equal(tree_apply(&tree, &table, 0, &err), 0);
	tree_finish(&tree);
	for (const struct tree_node *node = tree.root->child; node; node = node->next, n++) {
		char name[16];

		snprintf(name, sizeof(name), "%.*s", node->name_len, node->name);
		assert_true(strcmp(last, name) < 0);
		strcpy(last, name);
	}
	assert_int_equal(n, COUNT);
	tree_done(&tree);
	table_close(&table);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whiteouts_hide_what_is_below),
		cmocka_unit_test(test_whiteouts_leave_their_own_layer_alone),
		cmocka_unit_test(test_opaque_root),
		cmocka_unit_test(test_last_of_a_name_wins),
		cmocka_unit_test(test_a_folder_takes_the_place_of_a_lower_link),
		cmocka_unit_test(test_through_a_link_is_refused),
		cmocka_unit_test(test_hard_links),
		cmocka_unit_test(test_folder_links_are_counted),
		cmocka_unit_test(test_folder_attributes_change_in_place),
		cmocka_unit_test(test_many_names_are_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
