/* A CUDA driver over ordinary memory, for tests of what calls it. It computes nothing: "kernels" are
 * functions that a test puts on a stream. What it does model is what a real driver does not forgive:
 * one stack of contexts a thread, a primary context that is counted and that release does not pop,
 * memory that is freed once and not touched afterwards, captures that other calls break, errors
 * that stay. Written from the driver API's reference.
 *
 * A test steers it through the functions at the end (`stub_…`).
 */
#define _GNU_SOURCE
#define CUDA_ENABLE_DEPRECATED
#include <cuda.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEPTH 64
#define CALLS 64
#define DEVICES 2
#define NAME "NVIDIA Stub 5000"

/* ---- state ---------------------------------------------------------------------------------- */

struct CUctx_st { int alive, references, device; };

typedef struct block { char *address; size_t size; int on_host; struct block *next; } Block;

typedef struct { int is_copy; void *to; const void *from; size_t size;
                 void (*call)(void *); void *argument; } Work;
typedef struct { Work *items; int count; } List;

struct CUstream_st { int non_blocking, captures, broken; pthread_t capturer; List list;
                     struct CUstream_st *next; };
struct CUgraph_st { List list; };
struct CUgraphExec_st { List list; };
struct CUevent_st { int recorded; struct timespec at; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUctx_st primary[DEVICES] = {{0, 0, 0}, {0, 0, 1}};
static __thread CUcontext stack[DEPTH];
static __thread int depth = 0;
static Block *blocks = NULL;
static struct CUstream_st *streams = NULL;

enum { DEVICE_BLOCKS, HOST_BLOCKS, STREAMS, GRAPHS, EXECUTABLES, EVENTS, KINDS };
static long live[KINDS];
enum { PAGEABLE_COPIES, BAD_FREES, BAD_COPIES, LEGACY_CALLS, LAUNCHES, COUNTS };
static long counts[COUNTS];

static long held_bytes = 0, limit_bytes = -1;
static int sticky = 0, device_count = 1, version = 13000;
static struct { char name[64]; int code, after, stays; } failing[CALLS];
static int failing_count = 0;

/* What a call answers before it does anything: an error that stays, or one that a test asked for. */
static CUresult answer(const char *name) {
  if (sticky) return sticky;
  for (int i = 0; i < failing_count; i++) {
    if (!failing[i].code || strcmp(failing[i].name, name)) continue;
    if (failing[i].after-- > 0) continue;
    CUresult code = failing[i].code;
    if (failing[i].stays) sticky = code; else failing[i].code = 0;
    return code;
  }
  return CUDA_SUCCESS;
}

#define BEGIN(name) \
  do { CUresult code_ = answer(name); if (code_) return code_; } while (0)
#define IN_CONTEXT(name) \
  do { BEGIN(name); \
       if (!depth) return CUDA_ERROR_INVALID_CONTEXT; \
       if (!stack[depth - 1]->alive) return CUDA_ERROR_CONTEXT_IS_DESTROYED; } while (0)

/* ---- the driver and its devices ------------------------------------------------------------- */

CUresult CUDAAPI cuInit(unsigned flags) { (void)flags; return answer("cuInit"); }
CUresult CUDAAPI cuDriverGetVersion(int *found) { *found = version; return CUDA_SUCCESS; }
CUresult CUDAAPI cuDeviceGetCount(int *count) { *count = device_count; return CUDA_SUCCESS; }

CUresult CUDAAPI cuDeviceGet(CUdevice *device, int index) {
  if (index < 0 || index >= device_count) return CUDA_ERROR_INVALID_DEVICE;
  *device = index;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGetName(char *name, int size, CUdevice device) {
  snprintf(name, size, device ? NAME " (%d)" : NAME, device);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceTotalMem(size_t *bytes, CUdevice device) {
  (void)device;
  *bytes = 8ul << 30;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  (void)device;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 8; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 9; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE: *value = 0; break;
    default: *value = 1;
  }
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGetErrorName(CUresult error, const char **name) {
  (void)error;
  *name = "CUDA_ERROR_OF_THE_STUB";
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGetErrorString(CUresult error, const char **text) {
  (void)error;
  *text = "an error of the stub";
  return CUDA_SUCCESS;
}

/* ---- contexts ------------------------------------------------------------------------------- */

CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  BEGIN("cuDevicePrimaryCtxRetain");
  pthread_mutex_lock(&lock);
  primary[device].references++;
  primary[device].alive = 1;
  *context = &primary[device];
  pthread_mutex_unlock(&lock);
  return CUDA_SUCCESS;
}

/* The context may stay on stacks: release does not pop it. */
CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice device) {
  pthread_mutex_lock(&lock);
  int held = primary[device].references > 0;
  if (held && --primary[device].references == 0) primary[device].alive = 0;
  pthread_mutex_unlock(&lock);
  return held ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult CUDAAPI cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  *flags = 0;
  *active = primary[device].references > 0;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxPushCurrent(CUcontext context) {
  if (!context || depth == DEPTH) return CUDA_ERROR_INVALID_CONTEXT;
  if (!context->alive) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  stack[depth++] = context;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxPopCurrent(CUcontext *context) {
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  depth--;
  if (context) *context = stack[depth];
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetCurrent(CUcontext *context) {
  *context = depth ? stack[depth - 1] : NULL;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxSetCurrent(CUcontext context) {
  if (depth) depth--;
  if (context) stack[depth++] = context;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxGetDevice(CUdevice *device) {
  IN_CONTEXT("cuCtxGetDevice");
  *device = stack[depth - 1]->device;
  return CUDA_SUCCESS;
}

/* ---- captures ------------------------------------------------------------------------------- */

/* A call that touches the legacy stream waits for all streams but the non-blocking ones. One that
 * captures cannot be waited for: the call fails, and the capture with it. */
static CUresult touch_legacy_stream(void) {
  CUresult code = CUDA_SUCCESS;
  pthread_mutex_lock(&lock);
  counts[LEGACY_CALLS]++;
  for (CUstream stream = streams; stream; stream = stream->next)
    if (stream->captures && !stream->non_blocking) {
      stream->broken = 1;
      code = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
  pthread_mutex_unlock(&lock);
  return code;
}

/* A call that allocates breaks a capture of its own thread (mode thread-local). */
static CUresult refuse_while_capturing(void) {
  CUresult code = CUDA_SUCCESS;
  pthread_mutex_lock(&lock);
  for (CUstream stream = streams; stream; stream = stream->next)
    if (stream->captures && pthread_equal(stream->capturer, pthread_self())) {
      stream->broken = 1;
      code = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  pthread_mutex_unlock(&lock);
  return code;
}

static void run(Work work) {
  if (work.is_copy) memcpy(work.to, work.from, work.size);
  else work.call(work.argument);
}

static CUresult put(CUstream stream, Work work) {
  if (!stream) {
    CUresult code = touch_legacy_stream();
    if (code) return code;
  }
  if (stream && stream->captures) {
    stream->list.items = realloc(stream->list.items, sizeof(Work) * (stream->list.count + 1));
    stream->list.items[stream->list.count++] = work;
  } else {
    run(work);
  }
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
  IN_CONTEXT("cuStreamBeginCapture");
  if (!stream || stream->captures) return CUDA_ERROR_ILLEGAL_STATE;
  if (mode != CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&lock);
  stream->captures = 1;
  stream->broken = 0;
  stream->capturer = pthread_self();
  stream->list = (List){NULL, 0};
  pthread_mutex_unlock(&lock);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  *graph = NULL;
  if (!stream || !stream->captures) return CUDA_ERROR_ILLEGAL_STATE;
  pthread_mutex_lock(&lock);
  stream->captures = 0;
  int broken = stream->broken;
  pthread_mutex_unlock(&lock);
  if (!broken && !pthread_equal(stream->capturer, pthread_self()))
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  CUresult code = broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : answer("cuStreamEndCapture");
  if (code) {
    free(stream->list.items);
    return code;
  }
  *graph = malloc(sizeof **graph);
  (*graph)->list = stream->list;
  live[GRAPHS]++;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
  int captures = stream && stream->captures;
  *status = captures ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                             unsigned long long flags) {
  (void)flags;
  IN_CONTEXT("cuGraphInstantiateWithFlags");
  *executable = malloc(sizeof **executable);
  size_t size = sizeof(Work) * graph->list.count;
  (*executable)->list.count = graph->list.count;
  (*executable)->list.items = memcpy(malloc(size ? size : 1), graph->list.items, size);
  live[EXECUTABLES]++;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphDestroy(CUgraph graph) {
  live[GRAPHS]--;
  free(graph->list.items);
  free(graph);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  IN_CONTEXT("cuGraphLaunch");
  if (stream && stream->captures) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  counts[LAUNCHES]++;
  for (int i = 0; i < executable->list.count; i++) run(executable->list.items[i]);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec executable) {
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  live[EXECUTABLES]--;
  free(executable->list.items);
  free(executable);
  return CUDA_SUCCESS;
}

/* ---- streams and events --------------------------------------------------------------------- */

CUresult CUDAAPI cuStreamCreate(CUstream *stream, unsigned flags) {
  IN_CONTEXT("cuStreamCreate");
  pthread_mutex_lock(&lock);
  *stream = calloc(1, sizeof **stream);
  (*stream)->non_blocking = (flags & CU_STREAM_NON_BLOCKING) != 0;
  (*stream)->next = streams;
  streams = *stream;
  live[STREAMS]++;
  pthread_mutex_unlock(&lock);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamDestroy(CUstream stream) {
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  pthread_mutex_lock(&lock);
  for (CUstream *link = &streams; *link; link = &(*link)->next)
    if (*link == stream) {
      *link = stream->next;
      live[STREAMS]--;
      free(stream);
      break;
    }
  pthread_mutex_unlock(&lock);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamSynchronize(CUstream stream) {
  IN_CONTEXT("cuStreamSynchronize");
  if (!stream) return touch_legacy_stream();
  return stream->captures ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamQuery(CUstream stream) {
  (void)stream;
  IN_CONTEXT("cuStreamQuery");
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxSynchronize(void) {
  IN_CONTEXT("cuCtxSynchronize");
  return touch_legacy_stream();
}

CUresult CUDAAPI cuEventCreate(CUevent *event, unsigned flags) {
  (void)flags;
  IN_CONTEXT("cuEventCreate");
  *event = calloc(1, sizeof **event);
  live[EVENTS]++;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventDestroy(CUevent event) {
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  live[EVENTS]--;
  free(event);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventRecord(CUevent event, CUstream stream) {
  IN_CONTEXT("cuEventRecord");
  if (stream && stream->captures) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  event->recorded = 1;
  clock_gettime(CLOCK_MONOTONIC, &event->at);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventSynchronize(CUevent event) {
  (void)event;
  IN_CONTEXT("cuEventSynchronize");
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  IN_CONTEXT("cuEventElapsedTime");
  if (!start->recorded || !end->recorded) return CUDA_ERROR_INVALID_HANDLE;
  *milliseconds = (end->at.tv_sec - start->at.tv_sec) * 1e3f +
                  (end->at.tv_nsec - start->at.tv_nsec) / 1e6f;
  return CUDA_SUCCESS;
}

/* ---- memory --------------------------------------------------------------------------------- */

static char *allocate(size_t size, int on_host) {
  Block *block = malloc(sizeof *block);
  void *address = NULL;
  if (posix_memalign(&address, 256, size)) return NULL;
  memset(address, 0xAB, size); /* fresh memory holds anything */
  pthread_mutex_lock(&lock);
  *block = (Block){address, size, on_host, blocks};
  blocks = block;
  live[on_host ? HOST_BLOCKS : DEVICE_BLOCKS]++;
  if (!on_host) held_bytes += size;
  pthread_mutex_unlock(&lock);
  return address;
}

static CUresult release(char *address, int on_host) {
  CUresult code = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&lock);
  for (Block **link = &blocks; *link; link = &(*link)->next) {
    Block *block = *link;
    if (block->address != address || block->on_host != on_host) continue;
    *link = block->next;
    live[on_host ? HOST_BLOCKS : DEVICE_BLOCKS]--;
    if (!on_host) held_bytes -= block->size;
    memset(block->address, 0xCD, block->size);
    free(block->address);
    free(block);
    code = CUDA_SUCCESS;
    break;
  }
  if (code) counts[BAD_FREES]++;
  pthread_mutex_unlock(&lock);
  return code;
}

static int is_inside(const char *address, size_t size, int on_host) {
  int inside = 0;
  pthread_mutex_lock(&lock);
  for (Block *block = blocks; block && !inside; block = block->next)
    inside = block->on_host == on_host && address >= block->address &&
             address + size <= block->address + block->size;
  pthread_mutex_unlock(&lock);
  return inside;
}

CUresult CUDAAPI cuMemAlloc(CUdeviceptr *address, size_t size) {
  IN_CONTEXT("cuMemAlloc");
  CUresult code = refuse_while_capturing();
  if (code) return code;
  if (!size) return CUDA_ERROR_INVALID_VALUE;
  if (limit_bytes >= 0 && held_bytes + (long)size > limit_bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  *address = (CUdeviceptr)allocate(size, 0);
  return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult CUDAAPI cuMemFree(CUdeviceptr address) {
  IN_CONTEXT("cuMemFree");
  return release((char *)address, 0);
}

CUresult CUDAAPI cuMemHostAlloc(void **address, size_t size, unsigned flags) {
  (void)flags;
  IN_CONTEXT("cuMemHostAlloc");
  CUresult code = refuse_while_capturing();
  if (code) return code;
  *address = allocate(size, 1);
  return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult CUDAAPI cuMemAllocHost(void **address, size_t size) {
  return cuMemHostAlloc(address, size, 0);
}

CUresult CUDAAPI cuMemFreeHost(void *address) {
  if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
  return release(address, 1);
}

CUresult CUDAAPI cuMemGetInfo(size_t *available, size_t *total) {
  IN_CONTEXT("cuMemGetInfo");
  *total = 8ul << 30;
  *available = *total - held_bytes;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuPointerGetAttribute(void *value, CUpointer_attribute attribute,
                                       CUdeviceptr address) {
  int on_host = is_inside((char *)address, 1, 1);
  if (attribute != CU_POINTER_ATTRIBUTE_MEMORY_TYPE) return CUDA_ERROR_NOT_SUPPORTED;
  if (!on_host && !is_inside((char *)address, 1, 0)) return CUDA_ERROR_INVALID_VALUE;
  *(unsigned *)value = on_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  return CUDA_SUCCESS;
}

static CUresult copy(void *to, const void *from, size_t size, CUstream stream, int to_device) {
  const char *device = to_device ? to : from, *host = to_device ? from : to;
  if (!is_inside(device, size, 0)) {
    counts[BAD_COPIES]++;
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (stream && !is_inside(host, size, 1)) counts[PAGEABLE_COPIES]++;
  return put(stream, (Work){1, to, from, size, NULL, NULL});
}

CUresult CUDAAPI cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
  IN_CONTEXT("cuMemcpyHtoDAsync");
  return copy((void *)to, from, size, stream, 1);
}

CUresult CUDAAPI cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream) {
  IN_CONTEXT("cuMemcpyDtoHAsync");
  return copy(to, (const void *)from, size, stream, 0);
}

CUresult CUDAAPI cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t size) {
  IN_CONTEXT("cuMemcpyHtoD");
  return copy((void *)to, from, size, NULL, 1);
}

CUresult CUDAAPI cuMemcpyDtoH(void *to, CUdeviceptr from, size_t size) {
  IN_CONTEXT("cuMemcpyDtoH");
  return copy(to, (const void *)from, size, NULL, 0);
}

/* ---- how libraries find the functions ------------------------------------------------------- */

static void *find(const char *name) {
  static const char *const suffixes[] = {"_v4", "_v3", "_v2", ""};
  char whole[160];
  for (int i = 0; i < 4; i++) {
    snprintf(whole, sizeof whole, "%s%s", name, suffixes[i]);
    void *found = dlsym(RTLD_DEFAULT, whole);
    if (found) return found;
  }
  return NULL;
}

CUresult CUDAAPI cuGetProcAddress_v2(const char *name, void **function, int cuda, cuuint64_t flags,
                                     CUdriverProcAddressQueryResult *status) {
  (void)cuda;
  (void)flags;
  static void *self = NULL;
  if (!self) {
    Dl_info info;
    dladdr((void *)cuInit, &info);
    self = dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL);
  }
  *function = find(name);
  if (status)
    *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

/* ---- for tests ------------------------------------------------------------------------------ */

int stub_depth(void) { return depth; }
int stub_references(int device) { return primary[device].references; }
long stub_live(int kind) { return live[kind]; }
long stub_count(int what) { return counts[what]; }
void stub_set_version(int cuda) { version = cuda; }
void stub_set_device_count(int count) { device_count = count; }
void stub_set_limit(long bytes) { limit_bytes = bytes < 0 ? -1 : held_bytes + bytes; }
void stub_set_sticky(int code) { sticky = code; }

/* From its `after`th next call on, a function answers with a code: once, or (`stays`) as everything
 * that comes after it does. */
void stub_fail(const char *name, int code, int after, int stays) {
  snprintf(failing[failing_count].name, sizeof failing[0].name, "%s", name);
  failing[failing_count].code = code;
  failing[failing_count].after = after;
  failing[failing_count].stays = stays;
  if (failing_count < CALLS - 1) failing_count++;
}

void stub_forget_failures(void) { failing_count = 0; }

CUresult stub_enqueue(CUstream stream, void (*call)(void *), void *argument) {
  return put(stream, (Work){0, NULL, NULL, 0, call, argument});
}
