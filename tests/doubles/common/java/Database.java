// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a product keeps in its database: one JSON file for each table of rows or group of settings. Files are read again when
 * they have changed, so that whoever writes one has changed the product; what comes out of it must not be changed in place.
 */
final class Database {
    private final Path folder;
    private final Map<String, Kept> read = new HashMap<>();

    private record Kept(FileTime time, long size, Object value) {
    }

    Database(Path folder) {
        this.folder = folder;
    }

    /** The value of a file, or null. */
    synchronized Object get(String name) throws IOException {
        Path file = folder.resolve(name + ".json");
        if (!Files.exists(file)) {
            return null;
        }
        FileTime time = Files.getLastModifiedTime(file);
        long size = Files.size(file);
        Kept kept = read.get(name);
        if (kept == null || !kept.time().equals(time) || kept.size() != size) {
            kept = new Kept(time, size, Json.read(Files.readString(file)));
            read.put(name, kept);
        }
        return kept.value();
    }

    /** The settings of a file. */
    @SuppressWarnings("unchecked")
    Map<String, Object> settings(String name) throws IOException {
        Object value = get(name);
        return value == null ? Map.of() : (Map<String, Object>) value;
    }

    /** The rows of a file. */
    @SuppressWarnings("unchecked")
    List<Map<String, Object>> rows(String name) throws IOException {
        Object value = get(name);
        return value == null ? List.of() : (List<Map<String, Object>>) value;
    }

    /** Replaces a file as a whole: who reads it meanwhile has the old one. */
    synchronized void put(String name, Object value) throws IOException {
        Path file = Files.createTempFile(folder, name, ".new");
        Files.writeString(file, Json.write(value) + "\n");
        Files.move(file, folder.resolve(name + ".json"), StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Settings with others written over them, groups of settings in them too. */
    static Map<String, Object> merged(Map<?, ?> old, Map<?, ?> over) {
        Map<String, Object> result = new LinkedHashMap<>();
        old.forEach((name, value) -> result.put((String) name, value));
        over.forEach((name, value) -> result.put((String) name,
            value instanceof Map<?, ?> map && old.get(name) instanceof Map<?, ?> before ? merged(before, map) : value));
        return result;
    }

    /** Single settings of a value by name; those of a group have its name only where two groups could meet. */
    static Map<String, String> leaves(Object value) {
        Map<String, String> leaves = new LinkedHashMap<>();
        if (value instanceof Map<?, ?> map) {
            map.forEach((name, inner) -> {
                if (inner instanceof Map<?, ?>) {
                    leaves.putAll(leaves(inner));
                } else {
                    leaves.put((String) name, inner instanceof String text ? text : Json.write(inner));
                }
            });
        }
        return leaves;
    }

    /** Rows with some put in the place of others. */
    static List<Map<String, Object>> replaced(List<Map<String, Object>> rows, Map<String, Object> old, Map<String, Object> by) {
        List<Map<String, Object>> result = new ArrayList<>(rows);
        result.replaceAll(row -> row == old ? by : row);
        return result;
    }
}
