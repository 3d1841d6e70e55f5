// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDate;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** Audit files of a node: one a day and one more whenever the last is full; the oldest go. */
final class AuditFiles {
    private static final List<String> LEVELS = List.of("off", "base", "advanced", "full");
    private static final String END = ".audit.log";

    private Path current;

    /** Whether an area that is covered at one level, or not at all, has events of another. */
    static boolean covers(String coverage, String level) {
        return coverage != null && LEVELS.indexOf(level) <= LEVELS.indexOf(coverage);
    }

    /** All entries of a folder, the oldest first. */
    synchronized List<String> lines(Path folder) throws IOException {
        List<String> lines = new ArrayList<>();
        for (Path file : files(folder)) {
            lines.addAll(Files.readAllLines(file));
        }
        return lines;
    }

    /** Write one entry to the file of today, in the time zone of the virtual machine. */
    synchronized void write(Path folder, String entry, long bytes, int count) throws IOException {
        String day = DateTimeFormatter.ofPattern("yyyyMMdd", Locale.ROOT).format(LocalDate.now());
        if (current == null || !current.getFileName().toString().startsWith(day) || size(current) > bytes) {
            current = rotated(folder, day, bytes, count);
        }
        Files.write(current, entry.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static Path rotated(Path folder, String day, long bytes, int count) throws IOException {
        List<Path> files = files(folder);
        for (int i = 0; i < files.size() - count + 1; i++) {
            Files.deleteIfExists(files.get(i));
        }
        List<Path> today = files.stream().filter(file -> file.getFileName().toString().startsWith(day)).toList();
        if (today.isEmpty()) {
            return folder.resolve(day + ".00000" + END);
        }
        Path last = today.get(today.size() - 1);
        int number = Integer.parseInt(last.getFileName().toString().split("\\.")[1]);
        return size(last) < bytes ? last : folder.resolve(String.format(Locale.ROOT, "%s.%05d%s", day, number + 1, END));
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(file -> file.toString().endsWith(END)).sorted().toList();
        }
    }

    private static long size(Path file) throws IOException {
        return Files.exists(file) ? Files.size(file) : 0;
    }
}
