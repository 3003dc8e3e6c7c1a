#!/usr/bin/env python3
"""Writes the sample contacts of the demo: python3 scripts/demo_contacts.py > bootstrap/demo/contacts.csv

1,000 rows: 960 good ones, 15 that repeat an address, 25 that break a rule. The same rows each time.
All addresses are in domains reserved for examples.
"""

import csv
import random
import sys
import unicodedata

# language, country, time zone, postcode pattern, first names, last names; a name that is not written in
# Latin letters has a spelling for its address behind a slash.
PEOPLES = [
    ("en", "GB", "Europe/London", "EC#A #BN", "Amelia Oliver Isla George Freya Harry Poppy Arthur Elsie Noah",
     "Hughes Whitfield Ashworth O'Neill Clarke Fairbairn Pemberton Reid"),
    ("en", "US", "America/New_York", "#####", "Madison Ethan Harper Mason Zoe Jayden Riley Carter Naomi Wyatt",
     "Johnson Ramirez Washington Nguyen Kowalski Brooks Delgado Freeman"),
    ("de", "DE", "Europe/Berlin", "#####", "Anke Jürgen Käthe Matthias Sören Ulrike Björn Heike Lukas Änne",
     "Müller Schröder Weiß Vogel Krämer Böhm Lindner Groß"),
    ("fr", "FR", "Europe/Paris", "#####", "Éloïse Mathéo Chloé Gaël Inès Théo Zoé Rémi Anaïs François",
     "Lefèvre Moreau Dubois Béranger Faure Châtelain Roussel Garnier"),
    ("es", "ES", "Europe/Madrid", "#####", "Lucía Iñaki Sofía Álvaro Begoña Raúl Inés Núria Andrés Pilar",
     "García Muñoz Ibáñez Peña Serrano Castaño Domínguez Vidal"),
    ("it", "IT", "Europe/Rome", "#####", "Giulia Niccolò Chiara Andrea Beatrice Matteo Alice Lorenzo Irene Pietro",
     "Ferrari D'Angelo Ricci Colombo Marchetti Conti Galli Bianchi"),
    ("pt", "BR", "America/Sao_Paulo", "#####-###", "João Conceição Luís Beatriz Caetano Antônia Tomás Lívia Davi Íris",
     "Gonçalves Araújo Magalhães Falcão Simões Prado Brandão Teles"),
    ("pl", "PL", "Europe/Warsaw", "##-###", "Małgorzata Paweł Żaneta Łukasz Agnieszka Michał Zofia Stanisław Ewa Jędrzej",
     "Wójcik Kowalczyk Zieliński Wiśniewska Dąbrowski Król Gąsior Nowak"),
    ("nl", "NL", "Europe/Amsterdam", "#### XK", "Sanne Daan Fenna Thijs Lotte Bram Roos Sjoerd Anouk Jelle",
     "Visser Jansen Dijkstra Mulder Smit Brouwer Hoekstra Kuiper"),
    ("sv", "SE", "Europe/Stockholm", "### ##", "Åsa Björn Linnéa Göran Maja Örjan Ebba Nils Elin Håkan",
     "Lindström Öberg Nyström Sjögren Bergqvist Åkesson Holm Ekdahl"),
    ("tr", "TR", "Europe/Istanbul", "#####", "Ayşe Mehmet Zeynep Çağlar Gülşen Oğuz Elif İbrahim Şule Kerem",
     "Yılmaz Öztürk Şahin Çelik Aydın Güneş Kılıç Demir"),
    ("cs", "CZ", "Europe/Prague", "### ##", "Jiří Kateřina Ondřej Žaneta Václav Šárka Tomáš Eliška Luboš Zdeňka",
     "Novák Dvořák Procházka Němec Růžička Beneš Fiala Čermák"),
    ("el", "GR", "Europe/Athens", "### ##", "Ελένη/eleni Γιώργος/giorgos Μαρία/maria Νίκος/nikos Σοφία/sofia Δημήτρης/dimitris",
     "Παπαδόπουλος/papadopoulos Οικονόμου/oikonomou Γεωργίου/georgiou Βλάχος/vlachos"),
    ("uk", "UA", "Europe/Kyiv", "#####", "Олена/olena Тарас/taras Оксана/oksana Андрій/andrii Ганна/hanna Богдан/bohdan",
     "Шевченко/shevchenko Коваленко/kovalenko Бондар/bondar Мельник/melnyk"),
    ("ja", "JP", "Asia/Tokyo", "###-####", "結衣/yui 大翔/hiroto さくら/sakura 健太/kenta 美咲/misaki 蓮/ren",
     "佐藤/sato 鈴木/suzuki 高橋/takahashi 渡辺/watanabe"),
    ("zh", "TW", "Asia/Taipei", "###", "雅婷/yating 志明/zhiming 怡君/yijun 俊傑/junjie 淑芬/shufen 家豪/jiahao",
     "陳/chen 林/lin 黃/huang 張/chang"),
    ("hi", "IN", "Asia/Kolkata", "######", "आरव/aarav प्रिया/priya रोहन/rohan अनन्या/ananya विक्रम/vikram दीपिका/deepika",
     "शर्मा/sharma वर्मा/verma गुप्ता/gupta अय्यर/iyer"),
    ("ar", "EG", "Africa/Cairo", "#####", "فاطمة/fatma أحمد/ahmed مريم/mariam يوسف/youssef ليلى/layla عمر/omar",
     "حسن/hassan إبراهيم/ibrahim منصور/mansour السيد/elsayed"),
    ("vi", "VN", "Asia/Ho_Chi_Minh", "######", "Hương Tuấn Thảo Đức Ngọc Minh Lan Khánh",
     "Nguyễn Trần Phạm Võ Đặng Bùi"),
]

DOMAINS = ["example.com", "example.net", "example.org", "mail.example.com", "post.example.org", "inbox.example.net"]
ROASTS = ["Yirgacheffe", "Sidamo", "Huehuetenango", "Kenya AA", "Monsooned Malabar", "Santos", "Decaf Chiapas", ""]
JOBS = ["", "", "Architect", "Nurse", "Baker", "Teacher", "Engineer", "Librarian", "Joiner", "Translator", "Pilot"]
PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ł": "l", "đ": "d", "ı": "i", "'": ""})

HEADER = ["email", "external_id", "first_name", "last_name", "language", "country", "postcode", "timezone",
          "job_title", "custom_string_1", "custom_number_1", "custom_datetime_1"]

BROKEN_ADDRESSES = [
    "", "no-at-sign.example.com", "ann at example.org", "@example.org", "two@@example.com", "spaces in@example.net", "ann@localhost",
    "ann@example..com", "ann@-example.com", "ann@example.com.", "ann@exam ple.com",
    "ann@example.c0m1", "ann@[192.0.2.1]", "ann@example", "Ann <ann@example.com>", "ann,bo@example.com",
    "ann@example.com;bo@example.com", "a" * 65 + "@example.com",
]


def spellings(name):
    shown, _, plain = name.partition("/")
    bare = unicodedata.normalize("NFKD", shown.lower().translate(PLAIN))
    return shown, plain or "".join(c for c in bare if not unicodedata.combining(c))


def good_row(rng, number, taken):
    language, country, zone, pattern, firsts, lasts = PEOPLES[number % len(PEOPLES)]
    first, first_plain = spellings(rng.choice(firsts.split()))
    last, last_plain = spellings(rng.choice(lasts.split()))
    domain = rng.choice(DOMAINS)
    address = f"{first_plain}.{last_plain}@{domain}"
    while address in taken:
        address = f"{first_plain}.{last_plain}{rng.randint(2, 99)}@{domain}"
    taken.add(address)
    postcode = "".join(str(rng.randint(0, 9)) if c == "#" else c for c in pattern)
    since = f"20{rng.randint(15, 25)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(6, 21):02}:{rng.randint(0, 59):02}:00Z"
    return [address, f"customer-{number + 1:04}", first, last, language, country, postcode, zone,
            rng.choice(JOBS), rng.choice(ROASTS), str(rng.randint(0, 60)), since]


def main():
    rng = random.Random(2026)
    taken = set()
    rows = [good_row(rng, number, taken) for number in range(960)]
    assert all(row[0].isascii() for row in rows), "an address needs a plain spelling"
    extra = []
    for row in rng.sample(rows, 15):
        again = list(row)
        again[0] = rng.choice([row[0], row[0].upper(), f" {row[0]} "])
        again[10] = str(int(row[10]) + 1)
        extra.append(again)
    for address in BROKEN_ADDRESSES:
        row = list(rng.choice(rows))
        row[0], row[1] = address, f"broken-{len(extra):02}"
        extra.append(row)
    for field, value in [(10, "a few"), (10, "3,5"), (11, "31/02/2024"), (11, "last spring"), (2, "Maximilian " * 25),
                         (7, "Europe/" + "x" * 50), (6, "0" * 21)]:
        row = good_row(rng, len(rows) + len(extra), taken)
        row[field] = value
        extra.append(row)
    rows += extra
    rng.shuffle(rows)
    assert len(rows) == 1000
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(HEADER)
    out.writerows(rows)


if __name__ == "__main__":
    main()
