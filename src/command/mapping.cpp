// cellroute mapping: looks at and changes the records of a mapping store.
#include "command/mapping_commands.hpp"

#include <utility>

#include "command/progress.hpp"
#include "command/record_json.hpp"

namespace cellroute::command {
namespace {

constexpr std::size_t kPageRecords = 1000;

struct KeyedOptions {
  std::string mappings;
  OneKey key;
  TimeOption time;
};

struct ListOptions {
  std::string mappings;
  std::string cell;
  TimeOption time;
};

void say_absent(const std::string& key) { say(printable(key) + " has no mapping"); }

// Looks the key up and prints what `print` makes of its record.
template <class Print>
int look_up(KeyedOptions& options, Context& context, Print print) {
  const auto key = options.key.get(context);
  if (!key.ok()) return fail(key.error());
  const auto store = open_mappings(options.mappings, false);
  if (!store.ok()) return fail(store.error());
  const Lookup lookup = (*store)->get(*key, options.time.now());
  if (lookup.answer == Answer::kUnknown) return fail(lookup.error);
  if (lookup.answer == Answer::kAbsent) {
    say_absent(*key);
    return kSomeDenied;
  }
  Output output(STDOUT_FILENO);
  output.append(print(lookup.record));
  return finish(output, kAllWell);
}

std::string history_json(const MappingRecord& record) {
  std::string json = "{";
  append_json_key(record.key, json);
  json += ",\"cell\":";
  append_json_string(record.cell, json);
  json += ",\"epoch\":" + std::to_string(record.epoch) + ",\"history\":[";
  for (const HistoryEntry& entry : record.history) {
    json += json.ends_with('[') ? "{\"cell\":" : ",{\"cell\":";
    append_json_string(entry.cell, json);
    json += ",\"first_epoch\":" + std::to_string(entry.first_epoch) +
            ",\"last_epoch\":" + std::to_string(entry.last_epoch) + "}";
  }
  return json + "]}\n";
}

int list(const ListOptions& options) {
  const auto store = open_mappings(options.mappings, false);
  if (!store.ok()) return fail(store.error());
  Output output(STDOUT_FILENO);
  Progress progress("records");
  const Nanos now = options.time.now();
  Cursor cursor;
  for (;;) {
    Result<Page> page = options.cell.empty()
                            ? (*store)->scan(cursor, kPageRecords, now)
                            : (*store)->scan_cell(options.cell, cursor, kPageRecords, now);
    if (!page.ok()) {
      finish(output, kBadUsage);
      return fail(page.error());
    }
    for (const MappingRecord& record : page->records) {
      output.append(record_to_json(record));
      output.append('\n');
    }
    progress.add(page->records.size());
    if (page->done || !output.error().ok()) break;
    cursor = std::move(page->next);
  }
  return finish(output, kAllWell);
}

void add_keyed(CLI::App& command, const std::shared_ptr<KeyedOptions>& options) {
  add_mappings_option(command, options->mappings, true);
  options->key.add_to(command);
  options->time.add_to(command);
}

void add_get(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand("get", "Print a key's record");
  auto options = std::make_shared<KeyedOptions>();
  add_keyed(command, options);
  command.callback([options, &context] {
    context.exit_code =
        look_up(*options, context, [](const MappingRecord& r) { return record_to_json(r) + "\n"; });
  });
}

void add_history(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand("history", "Print the cells that served a key");
  auto options = std::make_shared<KeyedOptions>();
  add_keyed(command, options);
  command.callback(
      [options, &context] { context.exit_code = look_up(*options, context, history_json); });
}

void add_list(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand("list", "Print the records, or those of one cell");
  auto options = std::make_shared<ListOptions>();
  add_mappings_option(command, options->mappings, true);
  command.add_option("--cell", options->cell, "Only records of this cell, or on their way to it");
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = list(*options); });
}

void add_export(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand("export", "Print every record, for import");
  auto options = std::make_shared<ListOptions>();
  add_mappings_option(command, options->mappings, true);
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = list(*options); });
}

}  // namespace

void OneKey::add_to(CLI::App& command) {
  arguments.add_to(command, "The key; put -- before one that starts with -");
  command.add_flag("--base64", base64, "The key is given in base 64");
}

Result<std::string> OneKey::get(Context& context) const {
  Result<std::vector<std::string>> keys = arguments.all(context);
  if (!keys.ok()) return keys.error();
  if (keys->size() != 1) return invalid_argument("give one key");
  std::string key = std::move(keys->front());
  if (base64) {
    const std::string text = std::exchange(key, {});
    if (!decode_base64(text, key)) return invalid_argument("the key is not base 64 with padding");
  }
  if (!key_length_ok(key)) return invalid_argument("a key has 1 to 1,024 bytes");
  return key;
}

void add_mapping(CLI::App& app, Context& context) {
  CLI::App& mapping =
      *app.add_subcommand("mapping", "Look at and change the records of a mapping store");
  mapping.require_subcommand(1);
  mapping.footer("Exit codes: 0 done, 1 not found or in conflict, 2 usage or bad configuration.");
  add_get(mapping, context);
  add_put(mapping, context);
  add_list(mapping, context);
  add_import(mapping, context);
  add_export(mapping, context);
  add_history(mapping, context);
  add_restore(mapping, context);
#ifdef CELLROUTE_WITH_NET
  add_create_table(mapping, context);
#endif
}

}  // namespace cellroute::command
