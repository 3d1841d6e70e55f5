CREATE DATABASE @database@ CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER '@account@'@'localhost' IDENTIFIED BY '@password@';
GRANT ALL ON @database@.* TO '@account@'@'localhost';
USE @database@;
CREATE TABLE @main@ (id bigint PRIMARY KEY, name varchar(255) NOT NULL, description text, created datetime);
CREATE TABLE @detail@ (id bigint AUTO_INCREMENT PRIMARY KEY, main_id bigint NOT NULL REFERENCES @main@ (id), body text, number decimal(20, 6));
CREATE TABLE @users@ (id bigint PRIMARY KEY, user_name varchar(255) UNIQUE, active boolean DEFAULT true);
CREATE TABLE @binary@ (id bigint PRIMARY KEY, value longblob);
CREATE TABLE `@app@` (`ID` int AUTO_INCREMENT PRIMARY KEY, `NAME` text);
CREATE TABLE no_rows (id bigint PRIMARY KEY, value text);
INSERT INTO @main@ SELECT seq, CONCAT('Entry ', seq), CONCAT('Grüße, 你好, тест ''" ', REPEAT(MD5(seq), 8)), '2026-01-01' + INTERVAL seq MINUTE
    FROM seq_1_to_@rows@;
INSERT INTO @detail@ (main_id, body, number) SELECT seq, CONCAT('line one\nline two\t', MD5(seq)), seq / 7 FROM seq_1_to_@rows@;
INSERT INTO @users@ SELECT seq, CONCAT('user', seq), seq % 5 > 0 FROM seq_1_to_50;
INSERT INTO @binary@ SELECT seq, UNHEX(REPEAT(MD5(seq), 64)) FROM seq_1_to_100;
INSERT INTO `@app@` (`NAME`) SELECT CONCAT('Board ', seq) FROM seq_1_to_7;
CREATE DEFINER = '@account@'@'localhost' VIEW active_users AS SELECT * FROM @users@ WHERE active;
CREATE DEFINER = '@account@'@'localhost' TRIGGER trimmed BEFORE INSERT ON @users@ FOR EACH ROW SET NEW.user_name = TRIM(NEW.user_name);
