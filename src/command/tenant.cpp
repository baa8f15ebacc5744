// cellroute tenant: whose an HTTP request would be, by a topology's section `tenant`.
#include "cellroute/tenant.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "command/command.hpp"

namespace cellroute::command {
namespace {

struct TenantOptions {
  std::string topology;
  std::string authority;
  std::string target = "/";
  std::string peer;
  std::vector<std::string> hosts;
  std::vector<std::string> headers;
  std::vector<std::string> claims;
};

constexpr std::string_view kKinds[] = {"hosts", "subdomain", "path", "header",
                                       "query", "cookie",    "claim"};

// `name: value` and `name:value` alike; the value keeps its blanks, as on the wire.
Result<std::vector<HttpField>> fields_of(const std::vector<std::string>& texts) {
  std::vector<HttpField> fields;
  for (const std::string_view text : texts) {
    const std::size_t colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos) {
      return invalid_argument("no field of the form name:value: " + printable(text));
    }
    fields.push_back({text.substr(0, colon), text.substr(colon + 1)});
  }
  return fields;
}

void append_field(std::string_view name, std::string_view value, std::string& json) {
  json += ",\"" + std::string(name) + "\":";
  append_json_string(is_utf8(value) ? value : printable(value), json);
}

std::string json_of(const tenant::Rules& rules, const Extracted& found,
                    const ClientAddress& client) {
  std::string json = "{\"key\":";
  if (found.reason == Reason::kNone) {
    append_json_string(found.key, json);
  } else {
    json += "null";
  }
  append_field("status", name(found.status()), json);
  append_field("reason", name(found.reason), json);
  if (found.source != kNoTenantSource) {
    json += ",\"source\":" + std::to_string(found.source);
    append_field("kind", kKinds[static_cast<std::size_t>(rules.sources()[found.source].kind)],
                 json);
  }
  if (!client.address.empty()) {
    append_field("client", client.address, json);
    if (client.reason != Reason::kNone) append_field("client_reason", name(client.reason), json);
  }
  return json + "}\n";
}

int find_tenant(const TenantOptions& options) {
  const auto compiled = compile_file(options.topology);
  if (!compiled.ok()) return fail(compiled.error());
  const tenant::Rules* const rules = (*compiled)->tenant_rules();
  if (rules == nullptr) {
    return fail(invalid_argument(options.topology + ": has no section tenant: write one"));
  }
  std::vector<std::string> headers;
  for (const std::string& host : options.hosts) headers.push_back("Host:" + host);
  headers.insert(headers.end(), options.headers.begin(), options.headers.end());
  const auto header_fields = fields_of(headers);
  if (!header_fields.ok()) return fail(header_fields.error());
  const auto claims = fields_of(options.claims);
  if (!claims.ok()) return fail(claims.error());
  const HttpRequest<std::span<const HttpField>> request{options.authority, options.target,
                                                        options.peer, *header_fields, *claims};
  std::array<char, kMaxKeyBytes> room;
  const Extracted found = extract(*rules, request, room);
  Output output(STDOUT_FILENO);
  output.append(json_of(*rules, found, client_address(*rules, request)));
  return finish(output, found.reason == Reason::kNone ? kAllWell : kSomeDenied);
}

}  // namespace

void add_tenant(CLI::App& app, Context& context) {
  CLI::App& command = *app.add_subcommand("tenant", "Tell whose an HTTP request would be, and why");
  auto options = std::make_shared<TenantOptions>();
  command.add_option("--topology", options->topology, "A topology with a section tenant")
      ->required();
  command.add_option("--host", options->hosts, "The Host header; several are several headers");
  command.add_option("--target", options->target, "Path and query, as on the wire; default /");
  command.add_option("--header", options->headers, "name:value, repeatable");
  command.add_option("--claim", options->claims, "name:value of a verified token, repeatable");
  command.add_option("--authority", options->authority, ":authority of HTTP/2");
  command.add_option("--peer", options->peer, "The address of the connection's other end");
  command.callback([options, &context] { context.exit_code = find_tenant(*options); });
}

}  // namespace cellroute::command
