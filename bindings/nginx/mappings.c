/* The store of explicit mappings: opened, and known again. */
#include "module.h"

static ngx_uint_t is_lmdb(const cr_main_conf_t* conf) {
  return ngx_strncmp(conf->mappings.data, "lmdb:", 5) == 0;
}

static ngx_int_t join(ngx_pool_t* pool, const ngx_str_t* path, const char* suffix,
                      ngx_str_t* file) {
  file->len = path->len + ngx_strlen(suffix);
  file->data = ngx_pnalloc(pool, file->len + 1);
  if (file->data == NULL) return NGX_ERROR;
  ngx_sprintf(file->data, "%V%s%Z", path, suffix);
  return NGX_OK;
}

ngx_int_t cr_mappings_name_files(ngx_pool_t* pool, const ngx_str_t* path, cr_main_conf_t* conf) {
  if (is_lmdb(conf)) return join(pool, path, "/data.mdb", &conf->mapping_files[0]);
  conf->mapping_files[0] = *path;
  return join(pool, path, ".changes", &conf->mapping_files[1]);
}

/* A mapping file by its head, which has a checksum of all of it; a store by its file. */
static void identify(const cr_main_conf_t* conf, cr_mappings_id_t* id) {
  ngx_file_info_t info;
  ngx_memzero(id, sizeof *id);
  const ngx_fd_t file = ngx_open_file(conf->mapping_files[0].data,
                                      NGX_FILE_RDONLY | NGX_FILE_NONBLOCK, NGX_FILE_OPEN, 0);
  if (file == NGX_INVALID_FILE) return;
  if (!is_lmdb(conf)) {
    if (pread(file, id->head, sizeof id->head, 0) < 0) ngx_memzero(id, sizeof *id);
  } else if (ngx_fd_info(file, &info) != NGX_FILE_ERROR) {
    id->inode = ngx_file_uniq(&info);
  }
  ngx_close_file(file);
}

/* One that is replaced between the two is opened once more at the next look. */
ngx_int_t cr_mappings_open(const cr_main_conf_t* conf, cr_mappings_t* mappings,
                           cellroute_error* error) {
  const cellroute_store_options options = {.struct_size = sizeof options, .open_existing = 1};
  mappings->store = NULL;
  identify(conf, &mappings->id);
  const int32_t code =
      cellroute_store_open(cr_view_of(&conf->mappings), &options, &mappings->store, error);
  return code == CELLROUTE_OK ? NGX_OK : NGX_ERROR;
}

void cr_mappings_close(cr_mappings_t* mappings) {
  cellroute_store_destroy(mappings->store);
  ngx_memzero(mappings, sizeof *mappings);
}

ngx_uint_t cr_mappings_there(const cr_main_conf_t* conf, const cr_mappings_t* mappings) {
  cr_mappings_id_t now;
  identify(conf, &now);
  return mappings->store != NULL && ngx_memcmp(&now, &mappings->id, sizeof now) == 0;
}

int32_t cr_mappings_refresh(const cr_main_conf_t* conf, const cr_mappings_t* mappings,
                            cellroute_error* error) {
  return is_lmdb(conf) ? CELLROUTE_OK : cellroute_store_refresh(mappings->store, error);
}
