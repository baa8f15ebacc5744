// Writes customers of the financial platform as JSON lines, for `cellroute route --input`.
//
//   financial_customers [COUNT [SEED]]      100,000 and 1 by default
//
// They are made up: names, shares and risks are those of no real bank. The same count and seed give
// the same bytes on every machine; integer arithmetic only.
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "cellroute/hash.hpp"

namespace {

constexpr std::uint64_t kDefaultCount = 100'000;
constexpr std::uint64_t kDefaultSeed = 1;
constexpr std::size_t kWriteBytes = 256 * 1024;

constexpr std::array<std::string_view, 32> kFirstNames = {
    "Amara",  "Ana",   "Bilal", "Chen",  "Clara", "Daniel", "Elena", "Emeka",
    "Fatima", "Goran", "Hana",  "Ines",  "Ivan",  "Jakub",  "James", "Keiko",
    "Lena",   "Liam",  "Lucía", "Malik", "Marta", "Minh",   "Nadia", "Noah",
    "Olga",   "Priya", "Rosa",  "Siân",  "Tomás", "Uma",    "Wei",   "Zoë"};
constexpr std::array<std::string_view, 32> kLastNames = {
    "Adeyemi", "Andersson", "Baker",   "Bianchi", "Costa",  "Dubois", "Fischer",  "García",
    "Haddad",  "Ivanova",   "Jensen",  "Kaya",    "Khan",   "Kim",    "Kowalski", "Lee",
    "Martins", "Müller",    "Nguyen",  "Novak",   "O'Neil", "Okafor", "Patel",    "Petrov",
    "Rossi",   "Sato",      "Schmidt", "Silva",   "Smith",  "Tan",    "Walker",   "Yılmaz"};
constexpr std::array<std::string_view, 5> kResources = {"accounts", "payments", "cards", "trading",
                                                        "statements"};

// SplitMix64: the numbers of one customer, which depend on nothing but the seed and his place.
class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t place) : state_(cellroute::mix(seed) ^ place) {}

  std::uint64_t bits() { return cellroute::mix(state_, next_++); }
  std::uint64_t below(std::uint64_t n) { return cellroute::scale(bits(), n); }
  bool happens(std::uint64_t in_a_thousand) { return below(1000) < in_a_thousand; }

 private:
  std::uint64_t state_;
  std::uint32_t next_ = 0;
};

struct Customer {
  std::string_view tier;
  std::string_view region;
  std::string flags;  // JSON strings with commas between them
  std::uint64_t risk_percent = 0;
};

void add_flag(std::string& flags, std::string_view flag) {
  flags += flags.empty() ? "\"" : ",\"";
  flags += flag;
  flags += '"';
}

// Most requests are ordinary: the product of three dice leans to 0 and thins out towards 1.
std::uint64_t risk_percent(Dice& dice) {
  const std::uint64_t product = dice.below(101) * dice.below(101) * dice.below(101);
  return product / 10'000;
}

Customer make_customer(Dice& dice) {
  Customer customer;
  const std::uint64_t tier = dice.below(100);
  customer.tier = tier < 90 ? "retail" : tier < 98 ? "corporate" : "hnw";
  if (tier == 99 && dice.happens(200)) customer.tier = "high_net_worth";  // as another system says
  const std::uint64_t region = dice.below(100);
  customer.region = region < 45 ? "us-east-1" : region < 80 ? "eu-west-1" : "ap-southeast-1";
  const bool european = customer.region == "eu-west-1";
  if (dice.happens(european ? 930 : 12)) add_flag(customer.flags, "EU_RESIDENT");
  if (dice.happens(15)) add_flag(customer.flags, "PII_RESTRICTED");
  if (dice.happens(8)) add_flag(customer.flags, "HIGH_RISK");
  customer.risk_percent = risk_percent(dice);
  return customer;
}

void append_padded(std::string& out, std::uint64_t number, std::size_t digits) {
  char text[20];
  const char* const end = std::to_chars(text, text + sizeof text, number).ptr;
  const auto length = static_cast<std::size_t>(end - text);
  out.append(digits > length ? digits - length : 0, '0');
  out.append(text, length);
}

// Customers of the core banking system have numbers, those who came by the app have UUIDs
// (RFC 9562, version 4), companies the number of their registry.
void append_key(std::string& out, Dice& dice, std::uint64_t place, std::string_view tier) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (tier == "corporate") {
    out += "corp-";
    append_padded(out, place, 7);
  } else if (dice.happens(700)) {
    out += "cust-";
    append_padded(out, place, 9);
  } else {
    const std::uint64_t bits[2] = {(dice.bits() & ~0xf000ULL) | 0x4000,
                                   (dice.bits() & ~(3ULL << 62)) | 2ULL << 62};
    for (std::size_t i = 0; i < 32; ++i) {
      if (i == 8 || i == 12 || i == 16 || i == 20) out += '-';
      out += kHex[bits[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
  }
}

void append_customer(std::string& out, std::uint64_t seed, std::uint64_t place) {
  Dice dice(seed, place);
  const Customer customer = make_customer(dice);
  out += "{\"key\":\"";
  append_key(out, dice, place, customer.tier);
  out += "\",\"name\":\"";
  out += kFirstNames[dice.below(kFirstNames.size())];
  out += ' ';
  out += kLastNames[dice.below(kLastNames.size())];
  out += "\",\"tier\":\"";
  out += customer.tier;
  out += "\",\"region\":\"";
  out += customer.region;
  out += "\",\"flags\":[";
  out += customer.flags;
  out += "],\"risk\":";
  out += customer.risk_percent == 100 ? "1." : "0.";
  append_padded(out, customer.risk_percent % 100, 2);
  out += ",\"resource\":\"";
  out += kResources[dice.below(kResources.size())];
  out += "\"}\n";
}

bool parse(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t count = kDefaultCount;
  std::uint64_t seed = kDefaultSeed;
  if (argc > 3 || (argc > 1 && !parse(argv[1], count)) || (argc > 2 && !parse(argv[2], seed))) {
    std::fputs("usage: financial_customers [COUNT [SEED]]\n", stderr);
    return 2;
  }
  std::string out;
  for (std::uint64_t place = 1; place <= count; ++place) {
    append_customer(out, seed, place);
    if (out.size() < kWriteBytes && place < count) continue;
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) break;
    out.clear();
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::perror("financial_customers: standard output");
    return 1;
  }
  return 0;
}
