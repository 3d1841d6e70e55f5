// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.SAXException;

/**
 * What a product's log4j file says: which logger writes at which level to which files, and how. Knows as much of log4j 1
 * and 2 as the products' files use.
 */
final class Loggers {
    static final Loggers NONE = new Loggers(Path.of("/"));

    private static final List<String> LEVELS = List.of("OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL");
    private static final Pattern CONVERSION = Pattern.compile("%(-?\\d+)?([A-Za-z]+)((?:\\{[^{}]*\\})*)");
    private static final Pattern REFERENCE = Pattern.compile("(rootLogger|logger\\.[^.]+)\\.appenderRef\\.[^.]+\\.ref");

    private final Path folder;
    private final Map<String, Appender> appenders = new HashMap<>();
    private final Map<String, Logger> loggers = new HashMap<>();

    /** Where an appender writes; one without a file writes nowhere that anybody reads. */
    private record Appender(String file, String pattern, String threshold) {
    }

    private static final class Logger {
        private String level;
        private boolean additive = true;
        private final List<String> appenders = new ArrayList<>();
    }

    /** One message: `context` is what %X may name. */
    record Event(String logger, String method, String level, String thread, String message, Map<String, String> context) {
    }

    private Loggers(Path folder) {
        this.folder = folder;
    }

    /** Reads log4j.properties, log4j2.properties or log4j2.xml; files of the appenders lie in a folder. */
    static Loggers read(Path file, Path folder) throws IOException {
        Loggers result = new Loggers(folder);
        try (InputStream in = Files.newInputStream(file)) {
            if (file.toString().endsWith(".xml")) {
                result.readXml(in);
                return result;
            }
            Properties lines = new Properties();
            lines.load(in);
            Map<String, String> settings = new TreeMap<>();
            lines.stringPropertyNames().forEach(name -> settings.put(name, lines.getProperty(name).strip()));
            if (settings.keySet().stream().anyMatch(name -> name.startsWith("log4j."))) {
                result.readFirst(settings);
            } else {
                result.readSecond(settings);
            }
        }
        return result;
    }

    /** Whether a logger writes messages of a level at all. */
    boolean isEnabled(String logger, String level) {
        return rank(level) <= rank(effectiveLevel(logger));
    }

    /** Texts by the files they belong to. */
    Map<Path, String> written(Event event) {
        Map<Path, String> texts = new LinkedHashMap<>();
        for (String name = event.logger();; name = parent(name)) {
            Logger logger = loggers.get(name);
            for (String reference : logger == null ? List.<String>of() : logger.appenders) {
                Appender appender = appenders.get(reference);
                if (appender != null && appender.file() != null && rank(event.level()) <= rank(appender.threshold())) {
                    texts.put(place(appender.file()), render(appender.pattern(), event));
                }
            }
            if (name.isEmpty() || logger != null && !logger.additive) {
                return texts;
            }
        }
    }

    private String effectiveLevel(String logger) {
        for (String name = logger;; name = parent(name)) {
            Logger found = loggers.get(name);
            if (found != null && found.level != null || name.isEmpty()) {
                return found == null || found.level == null ? "OFF" : found.level;
            }
        }
    }

    private static String parent(String logger) {
        return logger.substring(0, Math.max(logger.lastIndexOf('.'), 0));
    }

    private static int rank(String level) {
        return level == null ? LEVELS.size() : LEVELS.indexOf(level.toUpperCase(Locale.ROOT));
    }

    /** Names that start with ${…} are the home's, whatever it is called there. */
    private Path place(String file) {
        return file.startsWith("/") ? Path.of(file) : folder.resolve(file.substring(file.lastIndexOf('/') + 1));
    }

    private Logger logger(String name) {
        return loggers.computeIfAbsent(name, any -> new Logger());
    }

    /** Level and appenders in one line: both versions have that. */
    private void configure(Logger logger, String line) {
        List<String> words = Arrays.stream(line.split(",")).map(String::strip).toList();
        if (LEVELS.contains(words.get(0).toUpperCase(Locale.ROOT))) {
            logger.level = words.get(0);
        }
        logger.appenders.addAll(words.subList(1, words.size()));
    }

    private void readFirst(Map<String, String> settings) {
        settings.forEach((name, value) -> {
            if (name.equals("log4j.rootLogger") || name.equals("log4j.rootCategory")) {
                configure(logger(""), value);
            } else if (name.startsWith("log4j.logger.") || name.startsWith("log4j.category.")) {
                configure(logger(name.substring(name.indexOf('.', 6) + 1)), value);
            } else if (name.startsWith("log4j.additivity.")) {
                logger(name.substring("log4j.additivity.".length())).additive = !value.equalsIgnoreCase("false");
            } else if (name.startsWith("log4j.appender.") && name.split("\\.").length == 3) {
                String pattern = settings.getOrDefault(name + ".layout.ConversionPattern", "%m%n");
                boolean indents = settings.getOrDefault(name + ".layout", "").contains("NewLineIndenting");
                String file = settings.getOrDefault(name + ".LogFileName", settings.get(name + ".File"));
                appenders.put(name.substring("log4j.appender.".length()),
                    new Appender(file, indents ? pattern.replace("%m", "%nlm") : pattern, settings.get(name + ".Threshold")));
            }
        });
    }

    private void readSecond(Map<String, String> settings) {
        settings.forEach((name, value) -> {
            Matcher reference = REFERENCE.matcher(name);
            if (reference.matches()) {
                logger(settings.getOrDefault(reference.group(1) + ".name", "")).appenders.add(value);
            } else if (name.equals("rootLogger")) {
                configure(logger(""), value);
            } else if (name.equals("rootLogger.level")) {
                logger("").level = value;
            } else if (name.startsWith("logger.") && name.endsWith(".name")) {
                String prefix = name.substring(0, name.length() - ".name".length());
                Logger logger = logger(value);
                logger.level = settings.getOrDefault(prefix + ".level", logger.level);
                logger.additive = !settings.getOrDefault(prefix + ".additivity", "true").equalsIgnoreCase("false");
                if (settings.containsKey(prefix)) {
                    configure(logger, settings.get(prefix));
                }
            } else if (name.startsWith("appender.") && name.endsWith(".name")) {
                String prefix = name.substring(0, name.length() - ".name".length());
                appenders.put(value, new Appender(settings.get(prefix + ".fileName"),
                    settings.getOrDefault(prefix + ".layout.pattern", "%m%n"), null));
            }
        });
    }

    private void readXml(InputStream in) throws IOException {
        Element root;
        try {
            DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
            factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
            root = factory.newDocumentBuilder().parse(in).getDocumentElement();
        } catch (ParserConfigurationException | SAXException error) {
            throw new IOException(error);
        }
        for (Element appender : children(root, "PatternLayout")) {
            Element owner = (Element) appender.getParentNode();
            List<Element> nested = children(appender, "Pattern");
            String pattern = nested.isEmpty() ? appender.getAttribute("pattern") : nested.get(0).getTextContent().strip();
            String file = owner.getAttribute("fileName");
            appenders.put(owner.getAttribute("name"), new Appender(file.isEmpty() ? null : file, pattern, null));
        }
        for (String kind : List.of("Root", "Logger")) {
            for (Element element : children(root, kind)) {
                Logger logger = logger(element.getAttribute("name"));
                logger.level = element.hasAttribute("level") ? element.getAttribute("level") : null;
                logger.additive = !element.getAttribute("additivity").equalsIgnoreCase("false");
                children(element, "AppenderRef").forEach(reference -> logger.appenders.add(reference.getAttribute("ref")));
            }
        }
    }

    private static List<Element> children(Element element, String name) {
        NodeList found = element.getElementsByTagName(name);
        List<Element> elements = new ArrayList<>();
        for (int i = 0; i < found.getLength(); i++) {
            elements.add((Element) found.item(i));
        }
        return elements;
    }

    private static String render(String pattern, Event event) {
        return CONVERSION.matcher(pattern).replaceAll(match -> {
            String options = match.group(3);
            String[] option = options.isEmpty() ? new String[0] : options.substring(1, options.length() - 1).split("\\}\\{");
            String text = convert(match.group(2), option, event);
            String width = match.group(1);
            return Matcher.quoteReplacement(width == null ? text : String.format(Locale.ROOT, "%" + width + "s", text));
        });
    }

    private static String convert(String word, String[] option, Event event) {
        String first = option.length > 0 ? option[0] : "";
        return switch (word) {
            case "d", "date" -> DateTimeFormatter.ofPattern(first.isEmpty() ? "yyyy-MM-dd HH:mm:ss,SSS" : first, Locale.ROOT)
                .format(ZonedDateTime.now());
            case "t", "thread" -> event.thread();
            case "p", "level" -> event.level().toUpperCase(Locale.ROOT);
            case "c", "logger" -> shortened(event.logger(), first.isEmpty() ? Integer.MAX_VALUE : Integer.parseInt(first), false);
            case "q" -> shortened(event.logger(), 1 + Integer.parseInt(first), true);
            case "M" -> event.method();
            case "X" -> event.context().getOrDefault(first, "");
            case "m", "msg", "message" -> event.message();
            case "nlm" -> Text.indented(event.message());
            // Only log injection is of interest: \r and \n are written as two characters each.
            case "enc", "encode" -> render(first, event).replace("\r", "\\r").replace("\n", "\\n");
            case "n" -> "\n";
            default -> "";
        };
    }

    /** The last parts of a logger's name; the others are left out, or only their first letters are kept. */
    private static String shortened(String logger, int parts, boolean letters) {
        String[] words = logger.split("\\.");
        int left = Math.max(0, words.length - parts);
        String start = letters ? String.join("", Arrays.stream(words, 0, left).map(word -> word.charAt(0) + ".").toList()) : "";
        return start + String.join(".", Arrays.copyOfRange(words, left, words.length));
    }
}
