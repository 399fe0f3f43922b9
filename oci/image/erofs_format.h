// SPDX-License-Identifier: Apache-2.0
/* EROFS on disk, as far as we write it; little-endian. Names follow the kernel's fs/erofs/erofs_fs.h. */
#ifndef MVRUN_OCI_IMAGE_EROFS_FORMAT_H
#define MVRUN_OCI_IMAGE_EROFS_FORMAT_H

#include <stdint.h>

#define EROFS_BLOCK_BITS 12
#define EROFS_BLOCK (1u << EROFS_BLOCK_BITS)
#define EROFS_SUPER_OFFSET 1024
#define EROFS_MAGIC UINT32_C(0xe0f5e1e2)
#define EROFS_SLOT 32 /* an inode's number is its position in these */

#define EROFS_COMPAT_SB_CHKSUM 0x1
#define EROFS_COMPAT_MTIME 0x2
#define EROFS_INCOMPAT_CHUNKED_FILE 0x4

struct erofs_super {
	uint32_t magic;
	uint32_t checksum; /* CRC-32C of block 0 from here to its end, itself as 0 */
	uint32_t feature_compat;
	uint8_t blkszbits;
	uint8_t sb_extslots;
	uint16_t root_nid;
	uint64_t inos;
	uint64_t build_time; /* of every compact inode */
	uint32_t build_time_nsec;
	uint32_t blocks; /* of the whole disk */
	uint32_t meta_blkaddr;
	uint32_t xattr_blkaddr;
	uint8_t uuid[16];
	uint8_t volume_name[16];
	uint32_t feature_incompat;
	uint8_t reserved[44]; /* compression, more devices, prefixes: not used */
};

/* i_format: bit 0 is the version, the layout follows. */
#define EROFS_COMPACT 0
#define EROFS_EXTENDED 1
#define EROFS_FLAT_PLAIN (0 << 1)
#define EROFS_FLAT_INLINE (2 << 1)
#define EROFS_CHUNK_BASED (4 << 1)

struct erofs_inode_compact {
	uint16_t i_format;
	uint16_t i_xattr_icount;
	uint16_t i_mode;
	uint16_t i_nlink;
	uint32_t i_size;
	uint32_t i_reserved;
	uint32_t i_u; /* first block, device number, or chunk format */
	uint32_t i_ino;
	uint16_t i_uid;
	uint16_t i_gid;
	uint32_t i_reserved2;
};

struct erofs_inode_extended {
	uint16_t i_format;
	uint16_t i_xattr_icount;
	uint16_t i_mode;
	uint16_t i_reserved;
	uint64_t i_size;
	uint32_t i_u;
	uint32_t i_ino;
	uint32_t i_uid;
	uint32_t i_gid;
	uint64_t i_mtime;
	uint32_t i_mtime_nsec;
	uint32_t i_nlink;
	uint8_t i_reserved2[16];
};

/* i_xattr_icount of n means 12 bytes of header and (n - 1) * 4 bytes of entries. */
struct erofs_xattr_header {
	uint32_t h_name_filter;
	uint8_t h_shared_count;
	uint8_t h_reserved[7];
};

struct erofs_xattr_entry {
	uint8_t e_name_len;
	uint8_t e_name_index;
	uint16_t e_value_size;
};

struct erofs_dirent {
	uint32_t nid_low, nid_high; /* 64 bits, not aligned */
	uint16_t nameoff;
	uint8_t file_type;
	uint8_t reserved;
};

_Static_assert(sizeof(struct erofs_super) == 128, "as on disk");
_Static_assert(sizeof(struct erofs_inode_compact) == 32, "as on disk");
_Static_assert(sizeof(struct erofs_inode_extended) == 64, "as on disk");
_Static_assert(sizeof(struct erofs_xattr_header) == 12, "as on disk");
_Static_assert(sizeof(struct erofs_dirent) == 12, "as on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are written as they are in memory");

#endif
