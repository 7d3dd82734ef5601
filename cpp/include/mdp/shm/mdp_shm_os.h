/* mdp_shm_os.h: what mdp_shm.h needs of the operating system: POSIX, or Windows.
 *
 * Included by mdp_shm.h. Alone it maps segments for a reader of your own: C99 (and C++), nothing but the C
 * library. Include it first, or define _POSIX_C_SOURCE as 200809L or more: strict C99 hides shm_open()
 * otherwise. Nothing here allocates. docs/wire-format.md, section 1, is what it follows.
 */
#pragma once

#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(_WIN32)
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#endif

#include "mdp/shm/mdp_shm_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MDP_SHM_MAX_SEGMENT_NAME_LENGTH 200
#define MDP_SHM_HEADER_BYTES 1024 /* of a segment; what is shorter is still being made */
#define MDP_SHM_OS_PATH_BYTES (MDP_SHM_MAX_SEGMENT_NAME_LENGTH + 8) /* "/." NAME ".lock" */

enum mdp_shm_attach_status {
  MDP_SHM_ATTACH_OK = 0,
  MDP_SHM_ATTACH_BAD_NAME = 1,
  MDP_SHM_ATTACH_NOT_FOUND = 2,
  MDP_SHM_ATTACH_NO_PERMISSION = 3,
  MDP_SHM_ATTACH_NOT_READY = 4, /* the publisher is still formatting it: try again */
  MDP_SHM_ATTACH_NOT_A_SEGMENT = 5,
  MDP_SHM_ATTACH_WRONG_VERSION = 6,
  MDP_SHM_ATTACH_CORRUPT = 7,
  MDP_SHM_ATTACH_SYSTEM_ERROR = 8, /* errno, or GetLastError(), says why */
  /* What bears the name is no regular file, or not of an owner who is trusted, or others may write it. */
  MDP_SHM_ATTACH_UNTRUSTED = 9
};

/* As the uid that a reader trusts besides root and its own: nobody. */
#define MDP_SHM_TRUST_NOBODY UINT32_MAX

/* What bears a segment's name. The first two numbers tell it from another one of the same name: device and
 * inode of the file, on Windows 0 and the number in the locator. The other two are known too where it is
 * UNTRUSTED; on Windows they are 0. */
struct mdp_shm_file {
  uint64_t device;
  uint64_t inode;
  uint32_t owner_uid;
  uint32_t mode; /* st_mode: kind of file and permissions */
};

/* A segment as it is mapped. */
struct mdp_shm_mapping {
  const void* base;
  size_t size_bytes;
  struct mdp_shm_file file;
};

/* acquire: no later load is moved before this one. Pairs with the publisher's release stores. */
MDP_SHM_INLINE uint64_t mdp_shm_load(const void* address) {
#if defined(_MSC_VER) && !defined(__clang__)
  /* An aligned 64-bit load is atomic on x64 and ordered by the processor; the barrier is for the compiler. */
  const uint64_t value = *(const volatile uint64_t*)address;
  _ReadWriteBarrier();
  return value;
#else
  return __atomic_load_n((const uint64_t*)address, __ATOMIC_ACQUIRE);
#endif
}

/* Length of a segment's name: 1 to 200 of A-Z a-z 0-9 . _ - and no leading dot. 0: it is none. */
MDP_SHM_INLINE size_t mdp_shm_name_length(const char* name) {
  size_t i;
  if (name == NULL || name[0] == '.') return 0;
  for (i = 0; name[i] != '\0'; ++i) {
    const char c = name[i];
    const int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const int digit = c >= '0' && c <= '9';
    if (i == MDP_SHM_MAX_SEGMENT_NAME_LENGTH || !(letter || digit || c == '.' || c == '_' || c == '-'))
      return 0;
  }
  return i;
}

/* For a spin: leaves the core to its other hardware thread, and the spin ends without a pipeline flush. */
MDP_SHM_INLINE void mdp_shm_os_relax(void) {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64) || defined(_M_IX86)
  _mm_pause();
#endif
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

#if !defined(_WIN32)

MDP_SHM_INLINE int mdp_shm_status_of_errno(void) {
  if (errno == ENOENT) return MDP_SHM_ATTACH_NOT_FOUND;
  return errno == EACCES || errno == EPERM ? MDP_SHM_ATTACH_NO_PERMISSION : MDP_SHM_ATTACH_SYSTEM_ERROR;
}

/* Writes "/" `prefix` `name` `suffix`: what shm_open() takes. The name has been checked. */
MDP_SHM_INLINE const char* mdp_shm_os_path(char to[MDP_SHM_OS_PATH_BYTES], const char* prefix,
                                           const char* name, const char* suffix) {
  char* end = to;
  *end++ = '/';
  for (; *prefix != '\0'; ++prefix) *end++ = *prefix;
  for (; *name != '\0'; ++name) *end++ = *name;
  memcpy(end, suffix, strlen(suffix) + 1);
  return to;
}

/* For reading; follows no link, and waits for nobody: a FIFO that somebody put there would hold us. */
MDP_SHM_INLINE int mdp_shm_os_open_path(const char* path) {
  return shm_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
}

/* Whether a reader may take what this file says: whoever else could write it could also truncate it, and a
 * mapping that is cut off ends its reader by SIGBUS. */
MDP_SHM_INLINE int mdp_shm_os_trusted(const struct mdp_shm_file* file, uint32_t trusted_uid) {
  const int known = file->owner_uid == (uint32_t)geteuid() || file->owner_uid == 0 ||
                    (trusted_uid != MDP_SHM_TRUST_NOBODY && file->owner_uid == trusted_uid);
  return S_ISREG(file->mode) && known && (file->mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Opens `name` for reading and looks at it; `fd` is the caller's to close where it is OK. */
MDP_SHM_INLINE int mdp_shm_os_open(const char* name, uint32_t trusted_uid, int* fd, size_t* size_bytes,
                                   struct mdp_shm_file* file) {
  char path[MDP_SHM_OS_PATH_BYTES];
  struct stat info;
  int status = MDP_SHM_ATTACH_OK;
  memset(file, 0, sizeof(*file));
  if (mdp_shm_name_length(name) == 0) return MDP_SHM_ATTACH_BAD_NAME;
  *fd = mdp_shm_os_open_path(mdp_shm_os_path(path, "", name, ""));
  if (*fd < 0) {
    /* ELOOP: a symbolic link, ENXIO: a socket. */
    if (errno == ELOOP || errno == ENXIO) return MDP_SHM_ATTACH_UNTRUSTED;
    return mdp_shm_status_of_errno();
  }
  if (fstat(*fd, &info) != 0) {
    status = mdp_shm_status_of_errno();
  } else {
    *size_bytes = info.st_size > 0 ? (size_t)info.st_size : 0;
    file->device = (uint64_t)info.st_dev;
    file->inode = (uint64_t)info.st_ino;
    file->owner_uid = (uint32_t)info.st_uid;
    file->mode = (uint32_t)info.st_mode;
    if (!mdp_shm_os_trusted(file, trusted_uid)) status = MDP_SHM_ATTACH_UNTRUSTED;
  }
  if (status != MDP_SHM_ATTACH_OK) close(*fd);
  return status;
}

/* Hands each name under which a segment could be to `on_name`, in no order; whether there is one shows when
 * it is opened. 0: this system has no list of them. */
MDP_SHM_INLINE int mdp_shm_os_list(void (*on_name)(const char* name, void* context), void* context) {
  DIR* const folder = opendir("/dev/shm");
  const struct dirent* found;
  if (folder == NULL) return 0;
  while ((found = readdir(folder)) != NULL) {
    if (mdp_shm_name_length(found->d_name) != 0) on_name(found->d_name, context);
  }
  closedir(folder);
  return 1;
}

/* Maps the segment `name` for reading: OK, BAD_NAME, NOT_FOUND, NO_PERMISSION, NOT_READY, UNTRUSTED,
 * SYSTEM_ERROR. `trusted_uid`: whose segments are taken besides root's and those of the user who runs this;
 * MDP_SHM_TRUST_NOBODY: no others. `out->file` says what was found, whatever the status. */
MDP_SHM_INLINE int mdp_shm_os_map(const char* name, uint32_t trusted_uid, struct mdp_shm_mapping* out) {
  void* base = MAP_FAILED;
  int fd;
  int status = mdp_shm_os_open(name, trusted_uid, &fd, &out->size_bytes, &out->file);
  if (status != MDP_SHM_ATTACH_OK) return status;
  if (out->size_bytes < MDP_SHM_HEADER_BYTES) {
    status = MDP_SHM_ATTACH_NOT_READY;
  } else {
    base = mmap(NULL, out->size_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) status = mdp_shm_status_of_errno();
  }
  close(fd);
  if (status == MDP_SHM_ATTACH_OK) out->base = base;
  return status;
}

/* What bears `name` now, without mapping it; statuses as mdp_shm_os_map(). */
MDP_SHM_INLINE int mdp_shm_os_find(const char* name, uint32_t trusted_uid, struct mdp_shm_file* out) {
  size_t size_bytes;
  int fd;
  const int status = mdp_shm_os_open(name, trusted_uid, &fd, &size_bytes, out);
  if (status == MDP_SHM_ATTACH_OK) close(fd);
  return status;
}

/* Whether it is proven that the publisher of the segment `file`, which bore `name`, is dead: nobody holds the
 * lock of the name. 0 also where this user may not look (only the owner's own user and root may). Asks about
 * the lock and never takes it, so it is in nobody's way. */
MDP_SHM_INLINE int mdp_shm_os_owner_dead(const char* name, const struct mdp_shm_file* file) {
  char path[MDP_SHM_OS_PATH_BYTES];
  struct stat info;
  struct flock lock;
  int free = 0;
  const int fd = mdp_shm_os_open_path(mdp_shm_os_path(path, ".", name, ".lock"));
  if (fd < 0) return 0;
  memset(&lock, 0, sizeof(lock));
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  /* Of another user it would be a lock of his own. */
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (uint32_t)info.st_uid == file->owner_uid &&
      fcntl(fd, F_GETLK, &lock) == 0) {
    free = lock.l_type == F_UNLCK;
  }
  close(fd);
  return free;
}

MDP_SHM_INLINE void mdp_shm_os_unmap(const void* base, size_t size_bytes) {
  /* munmap() takes a pointer to mutable memory although it changes none. */
  munmap((void*)(uintptr_t)base, size_bytes);
}

/* The clock of heartbeats and timeouts: never set, the same for all processes of a machine (of a time
 * namespace, where there are several). */
MDP_SHM_INLINE int64_t mdp_shm_os_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

MDP_SHM_INLINE void mdp_shm_os_yield(void) { sched_yield(); }
/* The shortest sleep that is one: 50 us, on Windows 1 ms; the system makes both longer. */
MDP_SHM_INLINE void mdp_shm_os_sleep(void) {
  struct timespec pause;
  pause.tv_sec = 0;
  pause.tv_nsec = 50000;
  nanosleep(&pause, NULL);
}

#else /* _WIN32 */

/* <windows.h> defines hundreds of macros, so the few functions used are declared here as they stand there; a
 * program may include both, in either order. */
union _LARGE_INTEGER;
__declspec(dllimport) void* __stdcall OpenFileMappingA(unsigned long access, int inherit, const char* name);
__declspec(dllimport) void* __stdcall MapViewOfFile(void* mapping, unsigned long access,
                                                    unsigned long offset_high, unsigned long offset_low,
                                                    size_t size_bytes);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void* base);
__declspec(dllimport) void* __stdcall OpenEventA(unsigned long access, int inherit, const char* name);
__declspec(dllimport) int __stdcall CloseHandle(void* handle);
__declspec(dllimport) unsigned long __stdcall GetLastError(void);
__declspec(dllimport) int __stdcall QueryPerformanceCounter(union _LARGE_INTEGER* count);
__declspec(dllimport) int __stdcall QueryPerformanceFrequency(union _LARGE_INTEGER* per_second);
__declspec(dllimport) int __stdcall SwitchToThread(void);
__declspec(dllimport) void __stdcall Sleep(unsigned long milliseconds);

#define MDP_SHM_WIN_FILE_MAP_READ 0x0004UL
#define MDP_SHM_WIN_SYNCHRONIZE 0x00100000UL
#define MDP_SHM_WIN_FILE_NOT_FOUND 2UL
#define MDP_SHM_WIN_ACCESS_DENIED 5UL
#define MDP_SHM_WIN_LOCATOR_BYTES 4096
/* "Local\mdp-" NAME "~", up to 20 digits, "~alive". */
#define MDP_SHM_WIN_NAME_BYTES (10 + MDP_SHM_MAX_SEGMENT_NAME_LENGTH + 1 + 20 + 6 + 1)

/* The locator's name, or with a `number` that of the block; returns its end. */
MDP_SHM_INLINE char* mdp_shm_win_name(char* to, const char* segment, uint64_t number) {
  char digits[20];
  int count = 0;
  const size_t length = strlen(segment);
  memcpy(to, "Local\\mdp-", 10);
  memcpy(to + 10, segment, length);
  to += 10 + length;
  if (number != 0) *to++ = '~';
  for (; number != 0; number /= 10) digits[count++] = (char)('0' + number % 10);
  while (count > 0) *to++ = digits[--count];
  *to = '\0';
  return to;
}
/* The name of what exists for as long as the publisher of the block `number` lives. */
MDP_SHM_INLINE void mdp_shm_win_alive_name(char* to, const char* segment, uint64_t number) {
  memcpy(mdp_shm_win_name(to, segment, number), "~alive", 7);
}

/* Maps `size_bytes` of an object for reading; fails if it is shorter. */
MDP_SHM_INLINE int mdp_shm_win_map(const char* object_name, size_t size_bytes, const void** base) {
  void* handle = OpenFileMappingA(MDP_SHM_WIN_FILE_MAP_READ, 0, object_name);
  if (handle == NULL) {
    const unsigned long error = GetLastError();
    if (error == MDP_SHM_WIN_FILE_NOT_FOUND) return MDP_SHM_ATTACH_NOT_FOUND;
    return error == MDP_SHM_WIN_ACCESS_DENIED ? MDP_SHM_ATTACH_NO_PERMISSION : MDP_SHM_ATTACH_SYSTEM_ERROR;
  }
  *base = MapViewOfFile(handle, MDP_SHM_WIN_FILE_MAP_READ, 0, 0, size_bytes);
  CloseHandle(handle); /* the view alone keeps the memory */
  /* A view longer than its object is "access denied": here that is a locator that lies. */
  return *base != NULL ? MDP_SHM_ATTACH_OK : MDP_SHM_ATTACH_SYSTEM_ERROR;
}

/* Number and size of the block that bears `name` now. */
MDP_SHM_INLINE int mdp_shm_win_locate(const char* name, uint64_t* number, uint64_t* size_bytes) {
  char object_name[MDP_SHM_WIN_NAME_BYTES];
  const void* locator;
  int status;
  if (mdp_shm_name_length(name) == 0) return MDP_SHM_ATTACH_BAD_NAME;
  mdp_shm_win_name(object_name, name, 0);
  status = mdp_shm_win_map(object_name, MDP_SHM_WIN_LOCATOR_BYTES, &locator);
  if (status != MDP_SHM_ATTACH_OK) return status;
  /* The number first: the size is then of it, or of a later block, which is refused when it is mapped. */
  *number = mdp_shm_load(locator);
  *size_bytes = mdp_shm_load((const unsigned char*)locator + 8);
  UnmapViewOfFile(locator);
  return *number != 0 ? MDP_SHM_ATTACH_OK : MDP_SHM_ATTACH_NOT_READY;
}

/* Named objects belong to the session, and nobody else's can be there: no uid is looked at. */
MDP_SHM_INLINE int mdp_shm_os_find(const char* name, uint32_t trusted_uid, struct mdp_shm_file* out) {
  uint64_t size_bytes;
  (void)trusted_uid;
  memset(out, 0, sizeof(*out));
  return mdp_shm_win_locate(name, &out->inode, &size_bytes);
}

MDP_SHM_INLINE int mdp_shm_os_map(const char* name, uint32_t trusted_uid, struct mdp_shm_mapping* out) {
  char object_name[MDP_SHM_WIN_NAME_BYTES];
  uint64_t size_bytes;
  int status;
  (void)trusted_uid;
  memset(&out->file, 0, sizeof(out->file));
  status = mdp_shm_win_locate(name, &out->file.inode, &size_bytes);
  if (status != MDP_SHM_ATTACH_OK) return status;
  if (size_bytes < MDP_SHM_HEADER_BYTES) return MDP_SHM_ATTACH_NOT_READY;
  mdp_shm_win_name(object_name, name, out->file.inode);
  out->size_bytes = (size_t)size_bytes;
  return mdp_shm_win_map(object_name, out->size_bytes, &out->base);
}

/* An event that the publisher has open and that bears its block's number: gone with its process, and no other
 * publisher ever makes one of that name, so looking is in nobody's way. (The mutex of the name would be.) */
MDP_SHM_INLINE int mdp_shm_os_owner_dead(const char* name, const struct mdp_shm_file* file) {
  char object_name[MDP_SHM_WIN_NAME_BYTES];
  void* event;
  mdp_shm_win_alive_name(object_name, name, file->inode);
  event = OpenEventA(MDP_SHM_WIN_SYNCHRONIZE, 0, object_name);
  if (event == NULL) return GetLastError() == MDP_SHM_WIN_FILE_NOT_FOUND;
  CloseHandle(event);
  return 0;
}

MDP_SHM_INLINE void mdp_shm_os_unmap(const void* base, size_t size_bytes) {
  (void)size_bytes;
  UnmapViewOfFile(base);
}

MDP_SHM_INLINE int64_t mdp_shm_os_monotonic_ns(void) {
  int64_t count = 0, per_second = 1;
  QueryPerformanceCounter((union _LARGE_INTEGER*)(void*)&count);
  QueryPerformanceFrequency((union _LARGE_INTEGER*)(void*)&per_second);
  return count / per_second * 1000000000 + count % per_second * 1000000000 / per_second;
}

MDP_SHM_INLINE int mdp_shm_os_list(void (*on_name)(const char* name, void* context), void* context) {
  (void)on_name, (void)context;
  return 0;
}

MDP_SHM_INLINE void mdp_shm_os_yield(void) { SwitchToThread(); }
MDP_SHM_INLINE void mdp_shm_os_sleep(void) { Sleep(1); }

#endif /* _WIN32 */

#ifdef __cplusplus
}
#endif
