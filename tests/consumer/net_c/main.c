#include <cellroute_net.h>
#include <string.h>

int main(void) {
  const char* text = "rediss://127.0.0.1";
  cellroute_view url = {text, strlen(text)};
  cellroute_store* store = NULL;
  return cellroute_net_store_open(url, NULL, &store, NULL) == CELLROUTE_E_UNSUPPORTED ? 0 : 1;
}
